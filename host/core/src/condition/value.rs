//! Facts as CEL's values: JSON without a copy, patterns, and the functions that conditions have.
//!
//! What a target says may be large and is not trusted, so that work is counted: an evaluation has
//! a budget, and what would go beyond it finds nothing, which [`Budget::is_spent`] tells.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use cel::common::traits::{Container, Indexer, Iterable, Iterator as Items, Sizer};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelNull, CelString, DYN_TYPE, LIST_TYPE, MAP_TYPE,
    STRING_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};
use regex::Regex;
use serde_json::Value as Json;

use crate::fact::Value;

/// What all conditions of a run may do: about as many nodes of their expressions. That is less than
/// a second without optimization (`conditions_over_large_answers_take_bounded_time` measures it), and
/// enough for a loop with a comparison over all 131,000 numbers that 256 KiB can hold.
const BUDGET: i64 = 1_000_000;

/// What may still be done.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicI64,
    /// The size of what is done for each item of a list.
    each: AtomicI64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { left: AtomicI64::new(BUDGET), each: AtomicI64::new(1) }
    }

    /// Begins with a condition that does so much for each item of a list.
    pub(super) fn begin(&self, each: i64) {
        self.each.store(each, Ordering::Relaxed);
    }

    /// Whether so much may be done besides; takes it.
    pub(super) fn take(&self, work: usize) -> bool {
        let work = i64::try_from(work).unwrap_or(i64::MAX).min(BUDGET + 1);
        self.left.fetch_sub(work, Ordering::Relaxed) >= work
    }

    fn take_items(&self, items: usize) -> bool {
        let each = usize::try_from(self.each.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        self.take(items.saturating_mul(each))
    }

    pub(super) fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) < 0
    }
}

/// What looking through a text costs.
pub(super) fn text_cost(text: &str) -> usize {
    1 + text.len() / 64
}

/// A list or an object of JSON.
pub(super) struct JsonVal<'a> {
    json: &'a Json,
    budget: &'a Budget,
    items: OnceLock<Vec<Box<dyn Val + 'a>>>,
}

/// JSON as a value of CEL.
pub(super) fn json_val<'a>(json: &'a Json, budget: &'a Budget) -> Box<dyn Val + 'a> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(*value)),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Box::new(CelInt::from(whole)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Json::String(text) => Box::new(CelString::from(text.as_str())),
        Json::Array(_) | Json::Object(_) => {
            Box::new(JsonVal { json, budget, items: OnceLock::new() })
        }
    }
}

/// A fact as a value of CEL.
pub(super) fn fact_val<'a>(value: &'a Value, budget: &'a Budget) -> Box<dyn Val + 'a> {
    match value {
        Value::Boolean(value) => Box::new(CelBool::from(*value)),
        Value::Integer(value) => Box::new(CelInt::from(*value)),
        Value::Number(value) => Box::new(CelDouble::from(*value)),
        Value::Text(text) => Box::new(CelString::from(text.as_str())),
        Value::Texts(texts) => {
            let texts = texts
                .iter()
                .map(|text| -> Box<dyn Val + 'a> { Box::new(CelString::from(text.as_str())) });
            Box::new(CelList::from(texts.collect::<Vec<_>>()))
        }
        Value::Json(json) => json_val(json, budget),
    }
}

impl<'a> JsonVal<'a> {
    fn len(&self) -> usize {
        match self.json {
            Json::Array(list) => list.len(),
            Json::Object(object) => object.len(),
            _ => 0,
        }
    }

    /// What loops go through: the items of a list, the names of an object. Nothing if that is too much.
    fn items(&self) -> &[Box<dyn Val + 'a>] {
        if !self.budget.take_items(self.len()) {
            return &[];
        }
        self.items.get_or_init(|| match self.json {
            Json::Array(list) => list.iter().map(|item| json_val(item, self.budget)).collect(),
            Json::Object(object) => object
                .keys()
                .map(|name| -> Box<dyn Val + 'a> { Box::new(CelString::from(name.as_str())) })
                .collect(),
            _ => Vec::new(),
        })
    }

    fn find(&self, key: &dyn Val) -> Option<&'a Json> {
        match self.json {
            Json::Object(object) => object.get(key.downcast_ref::<CelString<'_>>()?.inner()),
            Json::Array(list) => {
                let index = match key.downcast_ref::<CelInt>() {
                    Some(index) => *index.inner(),
                    None => whole(*key.downcast_ref::<CelDouble>()?.inner())?,
                };
                list.get(usize::try_from(index).ok()?)
            }
            _ => None,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is a whole number far below 2^53")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

impl fmt::Debug for JsonVal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&compact(self.json, 120))
    }
}

/// JSON in one line, cut after so many bytes, without writing out the rest.
pub(super) fn compact(json: &Json, most: usize) -> String {
    struct Cut(Vec<u8>, usize);
    impl std::io::Write for Cut {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.len() > self.1 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            let fits = bytes.len().min(self.1 + 1 - self.0.len());
            self.0.extend_from_slice(&bytes[..fits]);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut cut = Cut(Vec::new(), most);
    // It ends early where it is cut.
    let _ = serde_json::to_writer(&mut cut, json);
    let whole = cut.0.len() <= most;
    cut.0.truncate(most);
    let mut shown = String::from_utf8_lossy(&cut.0).into_owned();
    if !whole {
        let _ = shown.write_char('…');
    }
    shown
}

impl Val for JsonVal<'_> {
    fn get_type(&self) -> &Type {
        if self.json.is_array() { &LIST_TYPE } else { &MAP_TYPE }
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    /// Only a list and a list can be equal: no condition writes down an object.
    fn equals(&self, other: &dyn Val) -> bool {
        let (Json::Array(_), Some(other)) = (self.json, other.as_iterable()) else { return false };
        if other_len(other) != self.len() {
            return false;
        }
        let mut others = other.iter();
        self.items().iter().all(|item| others.next().is_some_and(|other| item.equals(other)))
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(JsonVal { json: self.json, budget: self.budget, items: OnceLock::new() })
    }
}

fn other_len(other: &dyn Iterable) -> usize {
    let mut items = other.iter();
    std::iter::from_fn(|| items.next().map(|_| ())).count()
}

impl Container for JsonVal<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        if matches!(self.json, Json::Object(_)) {
            return Ok(self.find(value).is_some());
        }
        Ok(self.items().iter().any(|item| item.equals(value)))
    }
}

impl Sizer for JsonVal<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.len()).unwrap_or(i64::MAX))
    }
}

impl Indexer for JsonVal<'_> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let found = self.find(key).ok_or_else(|| ExecutionError::no_such_key("?"))?;
        if let Json::String(text) = found {
            self.budget.take(text_cost(text));
        }
        Ok(CowVal::Owned(json_val(found, self.budget)))
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

impl Iterable for JsonVal<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Items<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        struct Each<'b, 'a>(std::slice::Iter<'b, Box<dyn Val + 'a>>);
        impl<'b, 'v, 'a: 'v> Items<'b, 'v> for Each<'b, 'a> {
            fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
                self.0.next().map(|item| -> &'b (dyn Val + 'v) { item.as_ref() })
            }
        }
        Box::new(Each(self.items().iter()))
    }
}

/// The type of patterns, which conditions cannot name.
static PATTERN_TYPE: Type = Type::new_unspecified_type("@pattern");

/// A regular expression, compiled once.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub(super) Regex);

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN_TYPE
    }

    fn cel_type() -> &'static Type {
        &PATTERN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

/// A number, for arithmetic: conditions know one sort of them.
pub(super) const NUMBER: &str = "@number";
/// The rest of a division.
pub(super) const REST: &str = "@rest";
/// Whether a text matches a pattern.
pub(super) const MATCHES: &str = "@matches";
/// A text in lower case.
pub(super) const LOWER: &str = "@lower";

/// The functions that conditions have.
pub(super) fn env() -> Arc<Env> {
    static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::stdlib();
        let proof = "no other function has this name";
        env.add_overload(NUMBER, NUMBER, vec![DYN_TYPE], |args| {
            number_of(&args, 0).map(|number| CowVal::owned(CelDouble::from(number)))
        })
        .expect(proof);
        env.add_overload(REST, REST, vec![DYN_TYPE, DYN_TYPE], |args| {
            let rest = number_of(&args, 0)? % number_of(&args, 1)?;
            Ok(CowVal::owned(CelDouble::from(rest)))
        })
        .expect(proof);
        env.add_overload(MATCHES, MATCHES, vec![STRING_TYPE, PATTERN_TYPE.to_owned()], |args| {
            let text = args[0].downcast_ref::<CelString<'_>>();
            let pattern = args[1].downcast_ref::<Pattern>();
            let is = text.zip(pattern).is_some_and(|(text, p)| p.0.is_match(text.inner()));
            Ok(CowVal::owned(CelBool::from(is)))
        })
        .expect(proof);
        env.add_overload(LOWER, LOWER, vec![STRING_TYPE], |args| {
            let text = args[0].downcast_ref::<CelString<'_>>().map_or("", CelString::inner);
            Ok(CowVal::owned(CelString::from(text.to_lowercase())))
        })
        .expect(proof);
        env.add_member_overload("contains", "@list_contains", LIST_TYPE, vec![DYN_TYPE], |args| {
            let list = args[0].as_container();
            let is = list.map_or(Ok(false), |list| list.contains(args[1].as_ref()))?;
            Ok(CowVal::owned(CelBool::from(is)))
        })
        .expect(proof);
        Arc::new(env)
    });
    Arc::clone(&ENV)
}

fn number_of(args: &[CowVal<'_, '_>], index: usize) -> Result<f64, ExecutionError> {
    let value = args[index].as_ref();
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        return Ok(*number.inner());
    }
    #[expect(clippy::cast_precision_loss, reason = "arithmetic is that of f64")]
    match value.downcast_ref::<CelInt>() {
        Some(number) => Ok(*number.inner() as f64),
        None => {
            let found = value.get_type().name().to_owned();
            Err(ExecutionError::no_such_overload(NUMBER, vec![found]))
        }
    }
}
