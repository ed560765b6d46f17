//! What a condition's names stand for in one run.

use std::sync::OnceLock;
use std::time::Duration;

use cel::common::types::{CelBool, CelDouble, CelList, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde_json::Value as Json;

use super::compile::Tables;
use super::value::{Budget, fact_val, json_val, text_cost};
use crate::fact::{Found, Value};
use crate::outcome::Report;

/// See the module.
pub(super) struct Scope<'a> {
    tables: &'a Tables,
    facts: Vec<Option<Fact<'a>>>,
    paths: Vec<OnceLock<Option<Box<dyn Val + 'a>>>>,
    budget: &'a Budget,
}

struct Fact<'a> {
    val: Box<dyn Val + 'a>,
    /// What a look at it costs.
    cost: usize,
    json: Option<&'a Json>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        tables: &'a Tables,
        report: &'a Report,
        found: &'a Found,
        latency: Duration,
        budget: &'a Budget,
    ) -> Self {
        let fact = |name: &str| -> Option<Fact<'a>> {
            let plain = |val: Box<dyn Val + 'a>| Some(Fact { val, cost: 0, json: None });
            let text = |text: &'a str| {
                let val = Box::new(CelString::from(text));
                Some(Fact { val, cost: text_cost(text), json: None })
            };
            if let Some(name) = name.strip_prefix("observation.") {
                let own = report.observations.iter().find(|own| own.name == name)?;
                return plain(Box::new(CelDouble::from(own.value)));
            }
            if let Some(name) = name.strip_prefix("detail.") {
                return text(&report.details.iter().find(|(own, _)| own == name)?.1);
            }
            match name {
                "latency" => return plain(Box::new(CelDouble::from(latency.as_secs_f64()))),
                "message" => return text(&report.message),
                _ => {}
            }
            let (_, value) = found.iter().find(|(own, _)| *own == name)?;
            let (cost, json) = match value {
                Value::Text(text) => (text_cost(text), None),
                Value::Texts(texts) => (1 + texts.len(), None),
                Value::Json(json) => (1, Some(&**json)),
                _ => (0, None),
            };
            Some(Fact { val: fact_val(value, budget), cost, json })
        };
        let facts = tables.facts.iter().map(|own| fact(&own.name)).collect();
        let paths = tables.paths.iter().map(|_| OnceLock::new()).collect();
        Self { tables, facts, paths, budget }
    }

    /// What a JSONPath finds, once.
    fn path(&self, index: usize) -> Option<&(dyn Val + 'a)> {
        let found = self.paths.get(index)?.get_or_init(|| {
            let path = self.tables.paths.get(index)?;
            let json = self.facts.get(path.fact)?.as_ref()?.json?;
            let steps = 1 + path.text.matches(['.', '[', '?', '=']).count();
            let work = count(json, 1_000_000).saturating_mul(steps);
            if !self.budget.take(work) {
                return None;
            }
            let list = path.path.query(json).all();
            let list: Vec<Box<dyn Val + 'a>> =
                list.into_iter().map(|json| json_val(json, self.budget)).collect();
            Some(Box::new(CelList::from(list)))
        });
        found.as_deref()
    }
}

/// How many values there are in JSON, or a number that is no smaller than `most`.
fn count(json: &Json, most: usize) -> usize {
    let mut number = 0;
    let mut open = vec![json];
    while let Some(json) = open.pop() {
        number += 1;
        if number >= most {
            return most;
        }
        match json {
            Json::Array(list) => open.extend(list),
            Json::Object(object) => open.extend(object.values()),
            _ => {}
        }
    }
    number
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let (sort, index) = name.split_once('_')?;
        let index: usize = index.parse().ok()?;
        match sort {
            "f" => {
                let fact = self.facts.get(index)?.as_ref()?;
                // Beyond the budget it is not there, so that what looks at it again ends soon.
                self.budget
                    .take(fact.cost)
                    .then(|| -> CowVal<'b, 'b> { CowVal::Borrowed(&*fact.val) })
            }
            "h" => {
                let is = self.facts.get(index)?.is_some();
                Some(CowVal::owned(CelBool::from(is)))
            }
            "p" => self.path(index).map(|val| -> CowVal<'b, 'b> { CowVal::Borrowed(val) }),
            "r" => {
                let pattern: &'b super::value::Pattern = self.tables.patterns.get(index)?;
                Some(CowVal::Borrowed(pattern))
            }
            _ => None,
        }
    }
}
