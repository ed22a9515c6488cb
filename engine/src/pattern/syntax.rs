//! From a client's text to a parsed pattern, and what is refused before it would cost too much.
//!
//! Beyond the length of a pattern, its character classes cost: each of Unicode's is looked up in a table, and to ignore
//! case every character of a class is looked at.

use std::convert::Infallible;

use regex_syntax::ast::{self, Ast, ClassSetBinaryOp, ClassSetItem, Flag, Flags, Visitor};
use regex_syntax::hir::translate::{Translator, TranslatorBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::error::Error;
use crate::limits::{PATTERN_FOLDED_CHARS_MAX, PATTERN_TABLES_MAX};

/// The number of all characters that there can be.
const CHARS: usize = 0x11_0000;

/// The inside of a pattern and its flags, or nothing if the text is a literal.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('/')?;
    let mut is_escaped = false;
    let end = inside.bytes().position(|byte| {
        let is_end = byte == b'/' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })?;
    let flags = &inside[end + 1..];
    flags.bytes().all(|flag| matches!(flag, b'i' | b'm' | b's')).then_some((&inside[..end], flags))
}

/// Parses the inside of the pattern that `text` is.
pub(super) fn parse(text: &str, inside: &str, flags: &str) -> Result<Hir, Error> {
    let wrong =
        |message: String| Error::PatternInvalid { pattern: text.to_owned(), reason: reason(&message) };
    let parsed = ast::parse::Parser::new().parse(inside).map_err(|error| wrong(error.to_string()))?;
    let Ok(cost) = ast::visit(&parsed, ClassCost::default());
    if cost.tables > PATTERN_TABLES_MAX {
        return Err(Error::PatternClassesTooMany { pattern: text.to_owned(), classes: cost.tables });
    }
    if (cost.ignores_case || flags.contains('i')) && cost.chars > PATTERN_FOLDED_CHARS_MAX {
        return Err(Error::PatternClassesTooLarge { pattern: text.to_owned() });
    }
    let mut translator = TranslatorBuilder::new()
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .build();
    translator.translate(inside, &parsed).map_err(|error| wrong(error.to_string()))
}

/// The parser draws the pattern over several lines; the last one says what is wrong.
fn reason(message: &str) -> String {
    let last = message.lines().last().unwrap_or(message);
    last.trim().trim_start_matches("error: ").to_owned()
}

/// The cost of the character classes of a pattern.
#[derive(Default)]
struct ClassCost {
    /// Classes that are looked up in Unicode's tables.
    tables: usize,
    /// Characters that are looked at to ignore case, as often as they are at most.
    chars: usize,
    ignores_case: bool,
    /// The brackets and operations on sets that the visited item is in; each may look at all characters again.
    depth: usize,
}

impl ClassCost {
    fn add_flags(&mut self, flags: &Flags) {
        self.ignores_case |= flags.flag_state(Flag::CaseInsensitive) == Some(true);
    }

    fn add_unicode(&mut self, class: &ast::ClassUnicode) {
        self.tables += 1;
        // A few too many cost more than they are worth counting.
        if self.tables <= PATTERN_TABLES_MAX {
            self.chars += unicode_chars(class) * self.depth.max(1);
        }
    }

    fn add_item(&mut self, item: &ClassSetItem) {
        match item {
            ClassSetItem::Range(range) => {
                let chars = (range.end.c as usize + 1).saturating_sub(range.start.c as usize);
                self.chars += chars * self.depth;
            }
            ClassSetItem::Unicode(class) => self.add_unicode(class),
            ClassSetItem::Perl(class) => {
                self.tables += 1;
                let chars = match class.kind {
                    ast::ClassPerlKind::Word => WORD_CHARS,
                    ast::ClassPerlKind::Digit | ast::ClassPerlKind::Space => 1000,
                };
                self.chars += if class.negated { CHARS } else { chars } * self.depth;
            }
            ClassSetItem::Bracketed(class) => {
                // Its complement is what the brackets around it get.
                self.chars += if class.negated { CHARS } else { 0 } * self.depth;
                self.depth += 1;
            }
            ClassSetItem::Empty(_)
            | ClassSetItem::Literal(_)
            | ClassSetItem::Ascii(_)
            | ClassSetItem::Union(_) => {}
        }
    }
}

/// About how many characters are a letter, digit or mark.
const WORD_CHARS: usize = 145_000;

/// The number of characters of a class of Unicode before it is negated; none if there is no such class.
fn unicode_chars(class: &ast::ClassUnicode) -> usize {
    let translated = Translator::new().translate("", &Ast::ClassUnicode(Box::new(class.clone())));
    let Ok(HirKind::Class(Class::Unicode(set))) = translated.map(Hir::into_kind) else { return 0 };
    let chars = set.iter().map(|range| range.end() as usize + 1 - range.start() as usize).sum();
    if class.is_negated() { CHARS.saturating_sub(chars) } else { chars }
}

impl Visitor for ClassCost {
    type Output = Self;
    type Err = Infallible;

    fn finish(self) -> Result<Self, Infallible> {
        Ok(self)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Infallible> {
        match ast {
            Ast::Flags(set) => self.add_flags(&set.flags),
            Ast::Group(group) => group.flags().into_iter().for_each(|flags| self.add_flags(flags)),
            Ast::ClassUnicode(class) => self.add_unicode(class),
            Ast::ClassPerl(_) => self.tables += 1,
            Ast::ClassBracketed(_) => self.depth += 1,
            Ast::Empty(_)
            | Ast::Literal(_)
            | Ast::Dot(_)
            | Ast::Assertion(_)
            | Ast::Repetition(_)
            | Ast::Alternation(_)
            | Ast::Concat(_) => {}
        }
        Ok(())
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), Infallible> {
        if let Ast::ClassBracketed(_) = ast {
            self.depth -= 1;
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Infallible> {
        self.add_item(item);
        Ok(())
    }

    fn visit_class_set_item_post(&mut self, item: &ClassSetItem) -> Result<(), Infallible> {
        if let ClassSetItem::Bracketed(_) = item {
            self.depth -= 1;
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), Infallible> {
        self.depth += 1;
        Ok(())
    }

    fn visit_class_set_binary_op_post(&mut self, _: &ClassSetBinaryOp) -> Result<(), Infallible> {
        self.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_pattern_and_what_is_not() {
        assert_eq!(split("/a/"), Some(("a", "")));
        assert_eq!(split("/a/ims"), Some(("a", "ims")));
        assert_eq!(split("//"), Some(("", "")));
        assert_eq!(split(r"/a\/b/i"), Some((r"a\/b", "i")));
        assert_eq!(split(r"/\\/"), Some((r"\\", "")));
        assert_eq!(split(r"/\\\//s"), Some((r"\\\/", "s")));
        for literal in ["", "/", "a", "/home/u1", "/a/g", "/a", r"/a\/", "a/b/", "/a/b/i", r"/\\/a/"] {
            assert_eq!(split(literal), None, "{literal}");
        }
    }

    fn message(inside: &str, flags: &str) -> Option<String> {
        parse(&format!("/{inside}/{flags}"), inside, flags).err().map(|error| error.to_string())
    }

    #[test]
    fn errors_name_the_pattern_and_the_reason() {
        let wrong = message("(?=a)b", "").unwrap();
        assert!(wrong.starts_with("bad pattern /(?=a)b/: look-around"), "{wrong}");
        assert_eq!(message("(", "").unwrap(), "bad pattern /(/: unclosed group");
        assert!(message(r"(a)\1", "").unwrap().contains("backreferences"));
        assert!(message(r"\p{Elvish}", "").unwrap().contains("Unicode property not found"));
    }

    #[test]
    fn classes_are_bounded_in_number_and_when_case_is_ignored_in_size() {
        assert_eq!(message(&r"\w".repeat(PATTERN_TABLES_MAX), ""), None);
        let many = message(&r"\w".repeat(PATTERN_TABLES_MAX + 1), "").unwrap();
        assert!(many.contains(&format!("{} classes", PATTERN_TABLES_MAX + 1)), "{many}");
        for (fine, times) in [(r"\pL", 5), (r"[\w.-]", 5), (r"[^a]", 100), (r"\PL", 5), (r"[^\x00-\x7f]", 50)]
        {
            assert_eq!(message(&fine.repeat(times), "i"), None, "{fine}");
        }
        let all = r"[\x{0}-\x{10ffff}]";
        assert_eq!(message(&all.repeat(100), ""), None, "only ignoring case costs that much");
        for large in [all, r"\p{any}", r"[[^a]b]", r"[\W]", r"[[[[\w]a]a]\pL&&[\pL]]"] {
            let wrong = message(&large.repeat(2), "i");
            assert!(wrong.is_some_and(|wrong| wrong.contains("ignoring case")), "{large}");
            assert!(message(&format!("(?i:{large}){large}"), "").is_some(), "{large}");
        }
    }
}
