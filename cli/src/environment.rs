//! The environment variables that stand for flags, of the server and of commands.

use clap::Arg;
use clap::builder::Resettable;

/// Has flags not look at variables that are set to nothing, as `docker run -e` and unit files do with what was left out.
pub fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
}
