//! The client: finds the primary from any address, retries with the same request-number, knows deadlines.
//!
//! Owns the HTTP form of a request (`form`), both its ends (`serve` and `session`) and the connections between
//! them. Must not know the service: what is asked and answered are bytes. Paper: VRR §4, the client's part.
//!
//! ```no_run
//! # async fn example() -> Result<(), vr_tokio::client::ClientError> {
//! use vr_tokio::client::{Client, ClientOptions};
//!
//! let client = Client::new(["127.0.0.1:8080", "127.0.0.1:8090", "127.0.0.1:8100"], ClientOptions::default())?;
//! let mut session = client.session().await?;
//! let reply = session.call("+1").await?; // executed exactly once, however often it had to be sent
//! println!("{:?} at op {}", reply.result, reply.op);
//! println!("{:?}", client.read("").await?); // linearizable, and nothing is logged for it
//! # Ok(())
//! # }
//! ```

mod error;
mod form;
mod pool;
mod serve;
mod session;
#[cfg(test)]
mod tests;

pub use self::error::ClientError;
pub use self::form::{Ask, MEMBERS_ROUTE, READ_ROUTE, ROUTE, Refused};
pub(crate) use self::form::{answer_of, mark};
pub use self::serve::{Requests, answer};
pub use self::session::{Client, ClientOptions, ClientSession};
