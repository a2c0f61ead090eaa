//! The operator's last resort: a new cluster founded from a chosen log. Says what may be lost.
