//! The client: finds the primary from any address, retries with the same request-number, knows deadlines.
//! Must not know the service.
