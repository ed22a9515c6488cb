use super::*;
use clap::CommandFactory;

fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
    Options::try_parse_from(["fluxiondb"].iter().chain(arguments))
}

#[test]
fn the_command_is_well_formed() {
    Options::command().debug_assert();
}

#[test]
fn defaults() {
    let settings = parse(&["-s", "dev"]).unwrap().check().unwrap();
    assert_eq!(settings.secret_key, "dev");
    assert_eq!((settings.port, settings.bind, settings.pin), (8080, None, true));
    assert_eq!((settings.max_message_bytes, settings.max_connections), (16 << 20, 10_000));
    assert_eq!(settings.idle_timeout, Duration::from_secs(120));
    assert!(!settings.legacy_auth && settings.cores.is_none());
}

#[test]
fn sizes() {
    for (text, bytes) in
        [("1024", 1024), ("64k", 65536), ("16MiB", 16 << 20), ("1 g", 1 << 30), ("2KB", 2048)]
    {
        assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
    }
    for text in ["", "k", "1.5m", "-1", "1t", "99999999999999999999", "18446744073709551615k"] {
        assert!(parse_bytes(text).is_err(), "{text}");
    }
    assert!(parse_message_bytes("1023").is_err());
    assert!(parse_message_bytes("1k").is_ok());
    assert!(parse_message_bytes("512m").is_ok());
    assert!(parse_message_bytes("536870913").is_err());
    assert!(parse_message_bytes("1g").is_err());
}

#[test]
fn addresses() {
    assert_eq!(parse_bind("[::1]"), Ok(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    assert_eq!(parse_bind("::"), Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
    assert_eq!(parse_bind("127.0.0.1"), Ok(IpAddr::from([127, 0, 0, 1])));
    for text in ["", "localhost", "[127.0.0.1]", "1.2.3.4:80", "[::"] {
        assert!(parse_bind(text).is_err(), "{text}");
    }
}

#[test]
fn pinning() {
    for (arguments, pin) in [
        (&["--pin"][..], true),
        (&["--no-pin"], false),
        (&["--pin=false"], false),
        (&["--pin=false", "--no-pin"], false),
    ] {
        let all: Vec<&str> = ["-s", "k"].iter().chain(arguments).copied().collect();
        assert_eq!(parse(&all).unwrap().check().unwrap().pin, pin, "{arguments:?}");
    }
}

#[test]
fn one_key_is_required() {
    let refused =
        |key: Option<&str>, file: Option<PathBuf>| secret_key(key.map(String::from), file).unwrap_err();
    assert!(refused(None, None).contains("required"));
    assert!(refused(Some("a"), Some("b".into())).contains("both"));
    assert!(refused(Some(""), None).contains("--secret-key is empty"));
    assert!(refused(Some(" \t"), None).contains("--secret-key is blank"));
    assert!(refused(Some(&"x".repeat(1025)), None).contains("1025"));
    assert!(refused(None, Some("/nonexistent/key".into())).contains("/nonexistent/key"));
    assert_eq!(secret_key(Some("x".repeat(1024)), None).unwrap().len(), 1024);
}

#[test]
fn a_key_file_loses_its_last_newline() {
    let path = std::env::temp_dir().join(format!("fluxiondb-key-{}", std::process::id()));
    for (text, key) in [("k", "k"), ("k\n", "k"), ("k\r\n", "k"), (" k \n\n", " k \n")] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(secret_key(None, Some(path.clone())).unwrap(), key);
    }
    std::fs::write(&path, "\n").unwrap();
    assert!(secret_key(None, Some(path.clone())).is_err());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn data_flags() {
    let data = |arguments: &[&str]| {
        let all: Vec<&str> = ["-s", "k"].iter().chain(arguments).copied().collect();
        parse(&all).map_err(|error| error.to_string()).and_then(Options::check).map(|settings| settings.data)
    };
    assert!(data(&[]).unwrap().is_none());
    let settings = data(&["-d", "/tmp/x", "-f", "0.5", "--storage-cpus", "1"]).unwrap().unwrap();
    assert_eq!(settings.flush_interval, Duration::from_millis(500));
    assert_eq!((settings.sync, settings.writer_cpus), (SyncMode::Interval, vec![1]));
    assert_eq!(settings.dirty_bytes_max, 128 << 20);
    let settings = data(&["-d", "/tmp/x", "--sync", "always", "--storage-cpus", "0-1,3"]).unwrap().unwrap();
    assert_eq!((settings.sync, settings.writer_cpus), (SyncMode::Always, vec![0, 1, 3]));
    assert!(data(&["--sync", "always"]).err().unwrap().contains("--data"));
    for wrong in
        [["-f", "0"], ["-f", "x"], ["-f", "86401"], ["--storage-cpus", "a"], ["--max-dirty-bytes", "1m"]]
    {
        assert!(data(&wrong).err().unwrap().contains(wrong[1]), "{wrong:?}");
    }
}

#[test]
fn pinning_and_not_pinning_is_refused() {
    let refused = parse(&["-s", "k", "--pin", "--no-pin"]).unwrap().check().err().unwrap();
    assert!(refused.contains("--pin and --no-pin"), "{refused}");
}

#[test]
fn a_port_says_what_is_expected() {
    let refused = parse(&["-s", "k", "-p", "abc"]).unwrap_err().to_string();
    assert!(refused.contains("'abc'") && refused.contains("a number from 0 to 65535"), "{refused}");
}

#[test]
fn out_of_range() {
    for arguments in [
        ["--port", "65536"],
        ["--max-connections", "0"],
        ["--idle-timeout", "0"],
        ["--cores", "0"],
        ["--max-message-bytes", "10"],
        ["--log-format", "xml"],
        ["--flush-interval", "0"],
    ] {
        assert!(parse(&arguments).is_err(), "{arguments:?}");
    }
}
