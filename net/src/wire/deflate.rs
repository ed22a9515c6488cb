//! Messages compressed and taken apart again, as RFC 7692 has it, on bytes alone.
//!
//! A compressed message is made of segments, each of which ends at the end of a byte: of a compressor's, that knows what it
//! compressed before or was told to forget it, or of plain ones. Any segment may follow any other, as long as a compressor
//! forgets whenever something that it does not know of goes before its next segment.

use crate::limits::{INFLATE_STEP_BYTES, STORED_BYTES_MAX};
use std::fmt;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

/// Fast: what leaves a core is made at hundreds of MB a second.
const LEVEL: i32 = 1;

/// Ends a segment. At the end of a message it is left out, and added again by who reads it.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Makes segments.
pub struct Deflater(Deflate);

impl Deflater {
    /// With a window of so many bits, from 9 to 15.
    pub fn new(window_bits: u8) -> Deflater {
        Deflater(Deflate::new(LEVEL, false, window_bits))
    }

    /// Forgets what it has compressed.
    pub fn forget(&mut self) {
        self.0.reset();
    }

    /// Appends a segment, or the last of a message.
    pub fn put(&mut self, out: &mut Vec<u8>, payload: &[u8], is_last: bool) {
        if payload.is_empty() {
            return put_end(out, is_last);
        }
        let (in_before, out_before, start) = (self.0.total_in(), self.0.total_out(), out.len());
        let mut room = payload.len() + payload.len() / 8 + payload.len() / 32 + 64;
        loop {
            let used = (self.0.total_in() - in_before) as usize;
            let made = (self.0.total_out() - out_before) as usize;
            out.resize(start + made + room, 0);
            let status = self.0.compress(&payload[used..], &mut out[start + made..], DeflateFlush::SyncFlush);
            let made = (self.0.total_out() - out_before) as usize;
            // With room left, everything is out.
            if start + made < out.len() || status.is_err() {
                out.truncate(start + made);
                break;
            }
            room *= 2;
        }
        if is_last {
            assert!(out.ends_with(&TAIL), "a flush ends so");
            out.truncate(out.len() - TAIL.len());
        }
    }
}

/// Appends a segment that is not compressed.
pub fn put_stored(out: &mut Vec<u8>, payload: &[u8], is_last: bool) {
    for block in payload.chunks(STORED_BYTES_MAX) {
        let length = (block.len() as u16).to_le_bytes();
        out.extend_from_slice(&[0, length[0], length[1], !length[0], !length[1]]);
        out.extend_from_slice(block);
    }
    if is_last {
        put_end(out, true);
    }
}

fn put_end(out: &mut Vec<u8>, is_last: bool) {
    out.push(0);
    if !is_last {
        out.extend_from_slice(&TAIL);
    }
}

/// Why a message can't be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// It is not compressed as it should be.
    Malformed,
    /// It is longer than it may be.
    TooBig,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InflateError::Malformed => "the message is not compressed as it should be",
            InflateError::TooBig => "the message is over the size limit when it is inflated",
        })
    }
}

/// Takes messages apart.
pub struct Inflater(Inflate);

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater(Inflate::new(false, 15))
    }
}

impl Inflater {
    /// Forgets the messages before.
    pub fn forget(&mut self) {
        self.0.reset(false);
    }
}

/// A message that is being taken apart.
pub struct Inflating {
    compressed: Vec<u8>,
    used: usize,
    /// As far as it has been taken apart.
    pub message: Vec<u8>,
}

impl Inflating {
    /// Begins with what came in the frames of a message.
    pub fn new(mut compressed: Vec<u8>) -> Inflating {
        compressed.extend_from_slice(&TAIL);
        Inflating { compressed, used: 0, message: Vec::new() }
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        self.compressed.capacity() + self.message.capacity()
    }

    /// Goes on for a step; true when the message is complete. It is never longer than allowed.
    pub fn step(&mut self, inflater: &mut Inflater, bytes_max: usize) -> Result<bool, InflateError> {
        let inflate = &mut inflater.0;
        let end = self.message.len() + INFLATE_STEP_BYTES;
        while self.message.len() < end {
            let start = self.message.len();
            // A byte more than it may be tells that it is too long.
            let room = (end - start).min(bytes_max + 1 - start).min(self.compressed.len().max(1024) * 4);
            self.message.resize(start + room, 0);
            let (in_before, out_before) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(
                &self.compressed[self.used..],
                &mut self.message[start..],
                InflateFlush::SyncFlush,
            );
            let used = (inflate.total_in() - in_before) as usize;
            let made = (inflate.total_out() - out_before) as usize;
            self.used += used;
            self.message.truncate(start + made);
            let status = status.map_err(|_| InflateError::Malformed)?;
            if self.message.len() > bytes_max {
                return Err(InflateError::TooBig);
            }
            if status == Status::StreamEnd {
                // The client has ended the stream inside of the message; another begins behind it.
                inflate.reset(false);
            }
            if self.used == self.compressed.len() && made < room {
                self.compressed = Vec::new();
                return Ok(true);
            }
            if used == 0 && made == 0 && status != Status::StreamEnd {
                return Err(InflateError::Malformed);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
#[path = "deflate_tests.rs"]
mod tests;
