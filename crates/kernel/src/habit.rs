//! Habits: what an agent did before, as far as a person who is asked wants to know. Small, bounded, a fold of events.
//!
//! Only what writes leaves a habit, and what a person approved: nearly all calls read, and pay nothing for this.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::account::Amount;
use crate::event::CallDecided;
use crate::id::Mark;
use crate::state::State;

/// Tools of one agent that are remembered.
const TOOLS_MAX: usize = 256;
/// Destinations of one agent's approved calls that are remembered.
const PLACES_MAX: usize = 256;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Habit {
    tools: BTreeMap<String, ToolHabit>,
    /// Where calls went that a person approved.
    places: BTreeSet<Mark>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolHabit {
    pub calls: u64,
    /// The most of each currency that one call reserved.
    pub largest: Amount,
}

impl Habit {
    pub fn tool(&self, name: &str) -> Option<&ToolHabit> {
        self.tools.get(name)
    }

    pub fn knows(&self, place: &Mark) -> bool {
        self.places.contains(place)
    }

    fn add(&mut self, tool: &str, reserved: &Amount) {
        if !self.tools.contains_key(tool) {
            if self.tools.len() >= TOOLS_MAX {
                return;
            }
            self.tools.insert(tool.to_owned(), ToolHabit::default());
        }
        let Some(known) = self.tools.get_mut(tool) else { return };
        known.calls += 1;
        if known.largest != *reserved {
            known.largest = known.largest.max(reserved);
        }
    }
}

impl State {
    /// A call was permitted; `places` are known where a person approved it.
    pub(crate) fn accustomed(&mut self, decided: &CallDecided, places: &[Mark]) {
        if decided.reads() && decided.approved.is_empty() {
            return;
        }
        let habit = match self.habits.get_mut(&decided.agent) {
            Some(habit) => habit,
            None => self.habits.entry(decided.agent.clone()).or_default(),
        };
        habit.add(&decided.tool, &decided.reserved);
        for place in places {
            if habit.places.len() < PLACES_MAX {
                habit.places.insert(*place);
            }
        }
    }
}
