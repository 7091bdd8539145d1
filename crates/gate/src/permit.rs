//! The permit: the only thing that opens a door outwards. It exists only after its decision is on disk.

use std::sync::Arc;

use kernel::call::Call;
use kernel::contract::Contract;

use ledger::Receipt;

/// Used once: it is moved into the reach, it cannot be cloned, and nobody outside this room can make one.
#[derive(Debug)]
pub struct Permit {
    call: Arc<Call>,
    contract: Arc<Contract>,
    bytes: Arc<[u8]>,
    key: Arc<str>,
    receipt: Receipt,
}

impl Permit {
    /// `bytes` are the canonical arguments that the law decided on; nothing else leaves the house.
    pub(crate) fn new(
        receipt: Receipt,
        call: Arc<Call>,
        contract: Arc<Contract>,
        bytes: Arc<[u8]>,
        key: Arc<str>,
    ) -> Permit {
        Permit { call, contract, bytes, key, receipt }
    }

    /// For another try of the same call, under the same decision. Only the line itself may.
    pub(crate) fn again(&self) -> Permit {
        let Permit { call, contract, bytes, key, receipt } = self;
        Permit::new(*receipt, call.clone(), contract.clone(), bytes.clone(), key.clone())
    }

    pub fn call(&self) -> &Call {
        &self.call
    }

    pub fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }

    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The idempotency key that goes along: the same for each try of one deed, whatever call it is tried in.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}
