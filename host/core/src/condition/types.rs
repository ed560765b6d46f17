//! What a part of a condition is, as far as that is known before anything runs.

use cel::common::ast::operators;

use super::translate::{Mentioned, described};
use crate::fact::Shape;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Boolean,
    /// A number without a unit.
    Number,
    Duration,
    Size,
    /// A number of whatever unit, such as an observation.
    Measure,
    Text,
    Null,
    List(Box<Type>),
    /// Nobody knows before it is there.
    Any,
}

impl Type {
    /// What a fact is.
    pub(super) fn of(fact: &Mentioned) -> Self {
        match fact.shape {
            Shape::Number if fact.name.starts_with("observation.") => Self::Measure,
            Shape::Boolean => Self::Boolean,
            Shape::Integer | Shape::Number => Self::Number,
            Shape::Duration => Self::Duration,
            Shape::Size => Self::Size,
            Shape::Text => Self::Text,
            Shape::Texts => Self::List(Box::new(Self::Text)),
            Shape::Json => Self::Any,
        }
    }

    /// For messages.
    pub(super) fn described(&self) -> &'static str {
        match self {
            Self::Boolean => described(Shape::Boolean),
            Self::Number | Self::Measure => described(Shape::Number),
            Self::Duration => described(Shape::Duration),
            Self::Size => described(Shape::Size),
            Self::Text => described(Shape::Text),
            Self::Null => "null",
            Self::List(_) => "a list",
            Self::Any => described(Shape::Json),
        }
    }

    /// Whether it is or may be that.
    pub(super) fn is(&self, kind: &Self) -> bool {
        match (self, kind) {
            (Self::Any, _) => true,
            (own, Self::Number) => matches!(own, Self::Number | Self::Measure),
            (own, kind) => own == kind,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Number | Self::Measure | Self::Duration | Self::Size | Self::Any)
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.is_number() || *self == Self::Text
    }

    pub(super) fn has_size(&self) -> bool {
        matches!(self, Self::Text | Self::List(_) | Self::Any)
    }

    /// Whether the two can be compared.
    pub(super) fn compares(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Measure, other) | (other, Self::Measure) => other.is_number(),
            (Self::Size, Self::Number) | (Self::Number, Self::Size) => true,
            (Self::List(own), Self::List(other)) => own.compares(other),
            (own, other) => own == other,
        }
    }

    /// Why two cannot be compared.
    pub(super) fn against(&self, other: &Self) -> String {
        let pair = (self, other);
        let hint = match pair {
            (Self::Duration, Self::Number) | (Self::Number, Self::Duration) => {
                " (a duration is written with its unit, such as `500ms`, and a number without)"
            }
            (Self::Number | Self::Size | Self::Duration, Self::Text)
            | (Self::Text, Self::Number | Self::Size | Self::Duration) => {
                " (a number stands without quotes)"
            }
            (Self::Boolean, Self::Text) | (Self::Text, Self::Boolean) => {
                " (`true` and `false` stand without quotes)"
            }
            _ => "",
        };
        format!("{} is compared with {}{hint}", self.described(), other.described())
    }

    /// What arithmetic makes of the two.
    pub(super) fn reckoned(&self, sign: &str, other: &Self) -> Option<Self> {
        if !self.is_number() || !other.is_number() {
            return None;
        }
        let plain = |kind: &Self| matches!(kind, Self::Number | Self::Measure | Self::Any);
        match sign {
            operators::ADD | operators::SUBSTRACT if self.compares(other) => {
                Some(if plain(self) { other.clone() } else { self.clone() })
            }
            operators::MULTIPLY if plain(self) => Some(other.clone()),
            operators::MULTIPLY if plain(other) => Some(self.clone()),
            operators::DIVIDE if plain(other) => Some(self.clone()),
            operators::DIVIDE | operators::MODULO if self.compares(other) => Some(Self::Number),
            operators::MODULO if plain(other) => Some(self.clone()),
            _ => None,
        }
        .map(|kind| if kind == Self::Any { Self::Measure } else { kind })
    }
}
