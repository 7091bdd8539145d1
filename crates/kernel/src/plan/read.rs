//! Reads a plan as an agent wrote it: strictly, and what is wrong is said with its place.

use serde_json::{Map, Value};

use super::{STEP_ID_BYTES_MAX, STEPS_MAX, WrittenPlan, WrittenStep};
use crate::condition::Condition;
use crate::content::bounded;
use crate::deed::Expect;
use crate::reason::{Code, Reason};
use crate::template;

/// Reads what an agent wrote, strictly; what is wrong is said with its place.
pub fn parse(written: &Value) -> Result<WrittenPlan, Box<Reason>> {
    let root = members(written, "", &["steps"])?;
    let Some(Value::Array(list)) = root.get("steps") else {
        return wrong("/steps", "a list of steps is expected");
    };
    if list.is_empty() || list.len() > STEPS_MAX {
        return wrong("/steps", format!("between 1 and {STEPS_MAX} steps are expected"));
    }
    let mut steps = Vec::with_capacity(list.len());
    let mut named = Vec::with_capacity(list.len());
    for (place, step) in list.iter().enumerate() {
        let (step, after) = step_of(step, &format!("/steps/{place}"))?;
        if steps.iter().any(|known: &WrittenStep| known.id == step.id) {
            return wrong(&format!("/steps/{place}/id"), "another step has this id");
        }
        steps.push(step);
        named.push(after);
    }
    for (place, wanted) in named.into_iter().enumerate() {
        let after = places(&steps, place, wanted)?;
        if let Some(step) = steps.get_mut(place) {
            step.after = after;
        }
    }
    let after: Vec<&[u16]> = steps.iter().map(|step| step.after.as_slice()).collect();
    match ordered(&after, &|_| false) {
        Ok(_) => Ok(WrittenPlan { steps }),
        Err(place) => wrong(&format!("/steps/{place}/after"), "it waits for itself, in a circle"),
    }
}

/// An order in which each comes after what it waits for, and `last` ones as late as that lets them; or the place of
/// one that is in a circle.
pub fn ordered(after: &[&[u16]], last: &dyn Fn(usize) -> bool) -> Result<Vec<u16>, usize> {
    let mut order: Vec<u16> = Vec::with_capacity(after.len());
    while order.len() < after.len() {
        let ready = |place: &usize| {
            let waits = after.get(*place).copied().unwrap_or_default();
            !order.contains(&small(*place)) && waits.iter().all(|before| order.contains(before))
        };
        let next = (0..after.len()).filter(ready).min_by_key(|place| (last(*place), *place));
        match next {
            Some(place) => order.push(small(place)),
            None => return Err((0..after.len()).find(|place| !order.contains(&small(*place))).unwrap_or(0)),
        }
    }
    Ok(order)
}

/// Steps are few, so a place always fits.
pub(crate) fn small(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}

fn wrong<T>(at: &str, detail: impl Into<String>) -> Result<T, Box<Reason>> {
    Err(Box::new(Reason::new(Code::PlanInvalid).at(bounded(at)).detail(detail)))
}

fn members<'a>(value: &'a Value, at: &str, known: &[&str]) -> Result<&'a Map<String, Value>, Box<Reason>> {
    let Value::Object(members) = value else { return wrong(at, "an object is expected") };
    match members.keys().all(|name| known.contains(&name.as_str())) {
        true => Ok(members),
        false => wrong(at, format!("there is a member that is not known; known are: {}", known.join(", "))),
    }
}

fn word<'a>(members: &'a Map<String, Value>, name: &str, at: &str) -> Result<Option<&'a str>, Box<Reason>> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => wrong(&format!("{at}/{name}"), "text is expected"),
    }
}

fn needed<'a>(members: &'a Map<String, Value>, name: &str, at: &str) -> Result<&'a str, Box<Reason>> {
    match word(members, name, at)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => wrong(&format!("{at}/{name}"), "text is expected"),
    }
}

fn arguments(members: &Map<String, Value>, at: &str) -> Result<Value, Box<Reason>> {
    match members.get("args") {
        None => Ok(Value::Object(Map::new())),
        Some(args @ Value::Object(_)) => Ok(args.clone()),
        Some(_) => wrong(&format!("{at}/args"), "an object is expected"),
    }
}

/// The step without its `after`, and the ids that it names there.
fn step_of(value: &Value, at: &str) -> Result<(WrittenStep, Vec<String>), Box<Reason>> {
    let known = ["id", "tool", "args", "after", "reason", "effect", "expect"];
    let step = members(value, at, &known)?;
    let id = needed(step, "id", at)?;
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-';
    if id.len() > STEP_ID_BYTES_MAX || !id.bytes().all(plain) {
        let expected = format!("at most {STEP_ID_BYTES_MAX} letters, digits, `-` and `_` are expected");
        return wrong(&format!("{at}/id"), expected);
    }
    let mut after = Vec::new();
    match step.get("after") {
        None => {}
        Some(Value::Array(list)) => {
            for (place, id) in list.iter().enumerate() {
                match id {
                    Value::String(id) => after.push(id.clone()),
                    _ => return wrong(&format!("{at}/after/{place}"), "the id of a step is expected"),
                }
            }
        }
        Some(_) => return wrong(&format!("{at}/after"), "a list of ids is expected"),
    }
    let expect = step.get("expect").map(|expect| expect_of(expect, &format!("{at}/expect"))).transpose()?;
    let step = WrittenStep {
        id: id.to_owned(),
        tool: needed(step, "tool", at)?.to_owned(),
        args: arguments(step, at)?,
        after: Vec::new(),
        reason: word(step, "reason", at)?.map(str::to_owned),
        effect: word(step, "effect", at)?.map(str::to_owned),
        expect,
    };
    Ok((step, after))
}

fn expect_of(value: &Value, at: &str) -> Result<Expect, Box<Reason>> {
    let expect = members(value, at, &["tool", "args", "that"])?;
    let that = needed(expect, "that", at)?;
    if let Err(why) = Condition::parse(that) {
        return wrong(&format!("{at}/that"), why);
    }
    let args = arguments(expect, at)?;
    if let Err(why) = template::check(&args, &["args", "deed"]) {
        return wrong(&format!("{at}/args"), why);
    }
    Ok(Expect { args, that: that.to_owned(), tool: needed(expect, "tool", at)?.to_owned() })
}

/// The places of the steps that this one names, and of those whose results it uses.
fn places(steps: &[WrittenStep], place: usize, named: Vec<String>) -> Result<Vec<u16>, Box<Reason>> {
    let args = steps.get(place).map(|step| template::references(&step.args)).unwrap_or_default();
    let wanted = named.into_iter().enumerate().map(|(nth, id)| (format!("/steps/{place}/after/{nth}"), id));
    let used = args.into_iter().map(|used| (format!("/steps/{place}/args{}", used.at), used.step));
    let mut after = Vec::new();
    for (at, id) in wanted.chain(used) {
        match steps.iter().position(|step| step.id == id) {
            Some(known) if known == place => return wrong(&at, "a step cannot wait for itself"),
            Some(known) => after.push(small(known)),
            None => return wrong(&at, "no step of this plan has that id"),
        }
    }
    after.sort_unstable();
    after.dedup();
    Ok(after)
}
