//! How cases are drawn: every switch on its own, the plain spelling as often as all others together, so that most cases
//! hold a few unusual ones, and shrinking ends at the plain model.

use proptest::prelude::*;

/// What can be drawn.
pub trait Draw: Sized + std::fmt::Debug + Clone + 'static {
    fn draw() -> BoxedStrategy<Self>;
}

impl Draw for bool {
    fn draw() -> BoxedStrategy<Self> {
        proptest::bool::weighted(0.25).boxed()
    }
}

/// Enums whose first variant is the plain one.
macro_rules! choices {
    ($($(#[$note:meta])* $name:ident { $first:ident $(, $(#[$doc:meta])* $rest:ident)* $(,)? })+) => { $(
        $(#[$note])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $first $(, $(#[$doc])* $rest)* }

        impl $crate::vit::draw::Draw for $name {
            fn draw() -> proptest::strategy::BoxedStrategy<Self> {
                use proptest::strategy::Strategy;
                let rest: Vec<Self> = vec![$(Self::$rest),*];
                let plain = vec![Self::$first; rest.len().max(1)];
                proptest::sample::select([plain, rest].concat()).boxed()
            }
        }
    )+ };
}

/// Structs whose fields are drawn independently.
macro_rules! records {
    ($($(#[$note:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $ty:ty),+ $(,)? })+) => { $(
        $(#[$note])*
        #[derive(Clone, Debug)]
        pub struct $name { $($(#[$doc])* pub $field: $ty),+ }

        impl $crate::vit::draw::Draw for $name {
            fn draw() -> proptest::strategy::BoxedStrategy<Self> {
                use proptest::strategy::Strategy;
                ($(<$ty as $crate::vit::draw::Draw>::draw(),)+).prop_map(|($($field,)+)| Self { $($field),+ }).boxed()
            }
        }
    )+ };
}

pub(crate) use {choices, records};
