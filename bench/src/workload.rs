//! Which requests are sent: one of five kinds, or a mix of them by weight.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};

use crate::random::Random;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Insert records.
    Ins,
    /// The newest records of one document.
    Qdoc,
    /// The newest record of every document of a collection.
    Qry,
    /// Set a key's value.
    Sval,
    /// Read a key's value.
    Gval,
}

impl Workload {
    /// All kinds, in the order of their index.
    pub const ALL: [Self; 5] = [Self::Ins, Self::Qdoc, Self::Qry, Self::Sval, Self::Gval];

    /// The kind's name, which is the request's type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ins => "ins",
            Self::Qdoc => "qdoc",
            Self::Qry => "qry",
            Self::Sval => "sval",
            Self::Gval => "gval",
        }
    }

    /// The kind's place in `ALL`.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Kinds of requests with their weights; at least one has a weight above 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    parts: Vec<(Workload, u64)>,
    total: u64,
}

impl Mix {
    /// Only this kind.
    pub fn only(workload: Workload) -> Self {
        Self { parts: vec![(workload, 1)], total: 1 }
    }

    /// Whether requests of this kind are sent.
    pub fn has(&self, workload: Workload) -> bool {
        self.parts.iter().any(|&(part, _)| part == workload)
    }

    /// The kind of the next request.
    pub fn pick(&self, random: &mut Random) -> Workload {
        let last = self.parts.len() - 1;
        if last == 0 {
            return self.parts[0].0;
        }
        let mut left = random.below(self.total);
        for &(workload, weight) in &self.parts[..last] {
            if left < weight {
                return workload;
            }
            left -= weight;
        }
        self.parts[last].0
    }
}

impl FromStr for Mix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts: Vec<(Workload, u64)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let workload = Workload::ALL.into_iter().find(|known| known.name() == name.trim());
            let workload = workload
                .with_context(|| format!("unknown workload '{name}': ins, qdoc, qry, sval or gval"))?;
            let weight: u32 = weight.trim().parse().with_context(|| format!("'{weight}' is not a weight"))?;
            ensure!(weight > 0, "the weight of {} must be above 0", workload.name());
            if parts.iter().any(|&(known, _)| known == workload) {
                bail!("{} is named twice", workload.name());
            }
            parts.push((workload, u64::from(weight)));
        }
        let total = parts.iter().map(|&(_, weight)| weight).sum();
        Ok(Self { parts, total })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(workload, _)] = self.parts[..] {
            return formatter.write_str(workload.name());
        }
        for (index, (workload, weight)) in self.parts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{}={weight}", workload.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_and_written() {
        for text in ["ins", "ins=90,qry=9,qdoc=1", "sval=1,gval=3"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        assert_eq!("gval, sval".parse::<Mix>().unwrap().to_string(), "gval=1,sval=1");
        for text in ["", "insert", "ins=0", "ins=x", "ins=1,ins=2"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }

    #[test]
    fn kinds_come_up_by_their_weight() {
        let mix: Mix = "ins=90,qry=9,qdoc=1".parse().unwrap();
        let mut random = Random::new(7);
        let mut counts = [0_u32; 5];
        for _ in 0..100_000 {
            counts[mix.pick(&mut random).index()] += 1;
        }
        assert!((89_000..91_000).contains(&counts[Workload::Ins.index()]), "{counts:?}");
        assert!((8_500..9_500).contains(&counts[Workload::Qry.index()]), "{counts:?}");
        assert!((800..1_200).contains(&counts[Workload::Qdoc.index()]), "{counts:?}");
    }
}
