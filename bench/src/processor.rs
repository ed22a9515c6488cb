//! The share of a CPU that the calling thread has had, as the kernel's scheduler counts it.

use std::fs;

/// Nanoseconds since the thread began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessorTime {
    /// Spent running.
    pub ran_ns: u64,
    /// Spent ready to run while something else ran on its CPU.
    pub waited_ns: u64,
}

impl ProcessorTime {
    /// The calling thread's; zeros where the kernel doesn't tell.
    pub fn of_thread() -> Self {
        fs::read_to_string("/proc/thread-self/schedstat")
            .ok()
            .and_then(|text| Self::read(&text))
            .unwrap_or_default()
    }

    fn read(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace().map(str::parse);
        Some(Self { ran_ns: fields.next()?.ok()?, waited_ns: fields.next()?.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_numbers_are_taken() {
        assert_eq!(ProcessorTime::read("12 34 5\n"), Some(ProcessorTime { ran_ns: 12, waited_ns: 34 }));
        assert_eq!(ProcessorTime::read("12"), None);
        assert_eq!(ProcessorTime::read("x y z"), None);
    }
}
