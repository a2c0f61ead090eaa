//! Peers over HTTP/1.1 keep-alive: everything queued for a peer in one request. Must not know what messages mean.
