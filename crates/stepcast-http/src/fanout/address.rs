//! How many connections each address has.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

/// Counts connections per address up to a limit.
#[derive(Clone)]
pub(crate) struct AddressBook(Arc<Inner>);

struct Inner {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place in the count; given back when dropped.
pub(crate) struct Permit {
    book: AddressBook,
    address: IpAddr,
}

/// An address has all the connections it may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {address} has {limit} connections, more are not allowed; close some")]
pub(crate) struct TooManyConnections {
    address: IpAddr,
    limit: usize,
}

impl AddressBook {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit,
            open: Mutex::default(),
        }))
    }

    pub(crate) fn admit(&self, address: IpAddr) -> Result<Permit, TooManyConnections> {
        let mut open = self.0.open.lock();
        let count = open.entry(address).or_default();
        if *count >= self.0.limit {
            let limit = self.0.limit;
            return Err(TooManyConnections { address, limit });
        }
        *count += 1;
        drop(open);
        Ok(Permit {
            book: self.clone(),
            address,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.book.0.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_counts_while_it_is_held() {
        let book = AddressBook::new(2);
        let address = IpAddr::from([127, 0, 0, 1]);
        let first = book
            .admit(address)
            .unwrap_or_else(|error| panic!("{error}"));
        let _second = book
            .admit(address)
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(book.admit(address).is_err());
        assert!(book.admit(IpAddr::from([127, 0, 0, 2])).is_ok());
        drop(first);
        assert!(book.admit(address).is_ok());
    }
}
