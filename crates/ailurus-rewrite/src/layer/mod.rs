//! Where the cut lies, as people say it: a block, a share of the blocks, or a name.

mod names;
mod nearest;

use ailurus_analyze::{Analysis, Code, Refusal};
pub(crate) use names::SCOPES;
use std::{fmt, str::FromStr};

/// Where the cut lies. Made from a number (`Layer::from(8)`) or read from text (`"1/3".parse()`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Behind this block, counted from 1.
    Index(usize),
    /// Behind the block that is nearest to this share of all blocks; at least one block runs on all tokens, and at least
    /// one on clusters.
    Share {
        /// numerator
        num: u64,
        /// denominator
        den: u64,
    },
    /// At this tensor of the residual stream, or behind the block that holds the tensor, node or module of this name.
    Name(String),
}

impl From<usize> for Layer {
    fn from(block: usize) -> Self {
        Self::Index(block)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(block) => write!(f, "{block}"),
            Self::Share { num, den } => write!(f, "{num}/{den}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Why a text is no [`Layer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseLayerError {
    /// Nothing but white space.
    #[error("it is empty; give a block, a share such as 1/3, 0.33 or 33%, or a name")]
    Empty,
    /// A negative number.
    #[error("blocks are counted from 1")]
    Negative,
    /// A share that leaves no blocks on one side.
    #[error("a share of the blocks lies between 0 and 1, such as 1/3, 0.33 or 33%")]
    Share,
}

impl FromStr for Layer {
    type Err = ParseLayerError;

    /// Digits are a block; `0.33`, `33%` and `1/3` are shares; everything else is a name.
    fn from_str(text: &str) -> Result<Self, ParseLayerError> {
        let text = text.trim();
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if text.is_empty() {
            return Err(ParseLayerError::Empty);
        }
        if digits(text) {
            // More digits than any model has blocks are out of range, not a name.
            return Ok(Self::Index(text.parse().unwrap_or(usize::MAX)));
        }
        if text.strip_prefix('-').is_some_and(|rest| digits(rest) || decimal(rest).is_some()) {
            return Err(ParseLayerError::Negative);
        }
        let parts = if let Some(percent) = text.strip_suffix('%') {
            decimal(percent).map(|(num, den)| (num, den.checked_mul(100)))
        } else if let Some((num, den)) = text.split_once('/').filter(|(a, b)| digits(a) && digits(b)) {
            Some((num.parse().unwrap_or(u64::MAX), den.parse().ok()))
        } else {
            decimal(text).map(|(num, den)| (num, Some(den)))
        };
        match parts {
            None => Ok(Self::Name(text.to_owned())),
            Some((num, Some(den))) if num > 0 && num < den => Ok(Self::Share { num, den }),
            Some(_) => Err(ParseLayerError::Share),
        }
    }
}

/// `12`, `12.5` or `.5` as a fraction. Digits that make no difference to any model are dropped.
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let fraction = fraction.get(..9).unwrap_or(fraction).trim_end_matches('0');
    let den = 10u64.pow(fraction.len() as u32);
    let read = |t: &str| if t.is_empty() { Some(0) } else { t.parse::<u64>().ok() };
    Some((read(whole)?.saturating_mul(den).saturating_add(read(fraction)?), den))
}

impl Layer {
    /// The number of blocks that run on all tokens.
    ///
    /// # Errors
    /// A refusal when that is not between 1 and the number of blocks minus one, or when the name is not found or means
    /// several blocks.
    pub fn resolve(&self, a: &Analysis) -> Result<usize, Refusal> {
        let blocks = a.blocks();
        let layer = match self {
            Self::Index(block) => *block,
            Self::Share { num, den } => {
                let (blocks, num, den) = (blocks as u128, u128::from(*num), u128::from(*den).max(1));
                let nearest = (2 * blocks * num + den) / (2 * den);
                usize::try_from(nearest).unwrap_or(blocks as usize).clamp(1, a.blocks().saturating_sub(1).max(1))
            }
            Self::Name(name) => names::resolve(a, name)?,
        };
        if layer >= 1 && layer < blocks {
            return Ok(layer);
        }
        let reason = match self {
            Self::Name(name) if layer == 0 => format!("`{name}` is the stream in front of the first block"),
            Self::Name(name) => format!("`{name}` lies in block {layer}, the last one"),
            _ => format!("layer {layer} is out of range"),
        };
        Err(Refusal::new(Code::AIL0202, format!("{reason}: this model has {}", count(blocks)), range(blocks)))
    }
}

/// `12 transformer blocks`.
fn count(blocks: usize) -> String {
    format!("{blocks} transformer block{}", if blocks == 1 { "" } else { "s" })
}

/// What may be asked for.
fn range(blocks: usize) -> String {
    match blocks {
        0 | 1 => "a model with a single block has no block left to run on fewer tokens".to_owned(),
        2 => "choose --layer 1, the only cut between the two blocks".to_owned(),
        n => format!("choose --layer between 1 and {}", n - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(num: u64, den: u64) -> Result<Layer, ParseLayerError> {
        Ok(Layer::Share { num, den })
    }

    #[test]
    fn texts() {
        let parse = |t: &str| t.parse::<Layer>();
        assert_eq!(parse(" 8 "), Ok(Layer::Index(8)));
        assert_eq!(parse("0"), Ok(Layer::Index(0)));
        assert_eq!(parse(&"9".repeat(40)), Ok(Layer::Index(usize::MAX)));
        assert_eq!(parse("0.33"), share(33, 100));
        assert_eq!(parse(".5"), share(5, 10));
        assert_eq!(parse("0.50"), share(5, 10));
        assert_eq!(parse("33%"), share(33, 100));
        assert_eq!(parse("12.5%"), share(125, 1000));
        assert_eq!(parse("1/3"), share(1, 3));
        for bad in ["1.0", "0.0", "1.5", "0%", "100%", "150%", "0/3", "3/3", "4/3", "1/0"] {
            assert_eq!(parse(bad), Err(ParseLayerError::Share), "{bad}");
        }
        assert!(matches!(parse(&format!("0.{}", "3".repeat(60))), Ok(Layer::Share { .. })));
        assert_eq!(parse(&format!("{}.5", "9".repeat(60))), Ok(Layer::Name(format!("{}.5", "9".repeat(60)))));
        for bad in ["-1", "-0.5"] {
            assert_eq!(parse(bad), Err(ParseLayerError::Negative), "{bad}");
        }
        assert_eq!(parse(" "), Err(ParseLayerError::Empty));
        for name in ["blocks.7", "/blocks/blocks.7/Add_1", "nan", "inf", "1e-1", "a/b", "v1.5", ".", "%", "-x"] {
            assert_eq!(parse(name), Ok(Layer::Name(name.into())), "{name}");
        }
    }

    #[test]
    fn shown_as_typed() {
        for text in ["8", "1/3", "blocks.7"] {
            assert_eq!(text.parse::<Layer>().unwrap().to_string(), text);
        }
    }
}
