//! The catalogue of conditions. The table of spec §12.4 is the same, word for word.

use super::Severity;

/// Makes the enum and its table from one list.
macro_rules! catalogue {
    ($($kind:ident $name:literal $severity:ident $public:literal
       $meaning:literal $remedy:literal)*) => {
        /// A kind of condition.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum ConditionKind {
            $(#[doc = $meaning] $kind,)*
        }

        impl ConditionKind {
            /// Every kind, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Its name in JSON, logs and text.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Its urgency.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity,)* }
            }

            /// Tells whether `/health` names it: anybody can see it from outside anyhow.
            pub const fn is_public(self) -> bool {
                match self { $(Self::$kind => $public,)* }
            }

            /// Its meaning, a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)* }
            }

            /// Its remedy, a sentence.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$kind => $remedy,)* }
            }
        }
    };
}

catalogue! {
    NotRunning "not-running" Error false
        "The node does not run: nobody is served, and what only a running node knows is unknown."
        "Start it: `bellwether-node run`."
    FeedStale "feed-stale" Error true
        "The provider promised a batch that is not here."
        "Provider: look at the log for why it does not publish. Relay: ask the provider, and look at `network` in `status --json`."
    FeedForked "feed-forked" Error true
        "The provider signed two batches of one number."
        "Ask the provider; its key may be in wrong hands."
    BatchTooLarge "batch-too-large" Error true
        "A batch is larger than the disk cap; it is not taken, nor any after it."
        "Raise `retain.max_bytes` in `node.toml` and start the node anew."
    OwnPartBroken "own-part-broken" Error true
        "A sealed part that this provider published breaks a rule; phones cannot use it."
        "Keep the store and report it to the makers of the software."
    ClockInDoubt "clock-in-doubt" Error true
        "The machine's clock is not believed: it leapt, or others contradict it; nothing is signed, nor deleted by time."
        "Set the clock right. If it is right, it is believed once another source agrees, or after ten minutes in which nobody contradicts it (six hours if one source does)."
    OwnBatchAhead "own-batch-ahead" Error true
        "The newest batch of this provider is dated ahead of the clock; reports wait, and nothing is published until the clock has caught up."
        "If the clock is right now: `descriptor disown --zone ZONE --from SEQ --root FILE`. If not, set it right."
    BatchesAhead "batches-ahead" Error true
        "Batches are ignored because they are dated ahead of the clock: this machine's is slow, or a provider's is ahead."
        "Set this machine's clock right. If it is right, tell the provider."
    DescriptorExpired "descriptor-expired" Error true
        "The descriptor is over; phones and relays take no batch of this provider."
        "Renew it with the root key: `descriptor renew`."
    ZoneUndescribed "zone-undescribed" Error false
        "A zone of `node.toml` is not in the descriptor; nothing is published in it."
        "Renew the descriptor with the root key: `descriptor renew`."
    NameDiffers "name-differs" Error false
        "The descriptor and `node.toml` give different names of the provider."
        "Renew the descriptor with the root key: `descriptor renew`."
    LedgerRefuses "ledger-refuses" Error false
        "The signer would not sign: its ledger and the store do not fit together."
        "Read `signer adopt` in spec §12.2 before anything else; do not delete the ledger."
    StoreBroken "store-broken" Error false
        "The store holds what it should not, or lacks what it should hold."
        "Relay: delete the store, it fills itself anew. Provider: restore a backup, run `run --no-publish`."
    SigningKeyMissing "signing-key-missing" Error false
        "No key on this machine may sign: the keys are lost or damaged, or the descriptor does not list one of them for now."
        "Restore `keys` from the backup and start the node anew. If the keys are there and it is their time that is over: `descriptor renew`."
    CodeKeyMissing "code-key-missing" Error false
        "The key that codes are hashed with is lost or damaged; no code is known without it."
        "Restore `code.key` from the backup and start the node anew. Without a backup: 64 random hexadecimal digits in that file are a new key, and codes issued before count no more."
    FileUnreadable "file-unreadable" Error false
        "The node's user cannot read a file of the node."
        "Give it to the owner of the data directory (`chown`)."
    CertificateBroken "certificate-broken" Error false
        "The certificate or key of the intake is lost, over, or not one pair; phones cannot report."
        "Put a certificate and its key where `tls_cert` and `tls_key` say."
    DiskFull "disk-full" Error true
        "The disk takes no writes: nothing is accepted, signed or fetched until it does."
        "Make room on the disk that it names; the node writes again by itself, or ends to be started anew."
    ZoneClosed "zone-closed" Error false
        "The provider published in a zone, or something waits there, and `node.toml` does not name it any more."
        "Name the zone in `node.toml` again and start the node anew, or tell its followers that it has ended."
    NoPeers "no-peers" Error false
        "No other node is connected for half a minute, although `node.toml` names some: nothing comes in or goes out."
        "Look at `network.bootstrap`, the firewall, and whether the others run."
    ZoneNotRelayed "zone-not-relayed" Error true
        "No peer has shown what is published in a zone for three rounds of questions: phones that ask relays do not get it."
        "Look at `network.bootstrap`, the firewall, and whether the relays run and carry the zone."
    GatewayRefused "gateway-refused" Error false
        "The descriptor names a gateway that phones do not ask."
        "Give it an `https://` address with a host of its own operator, and renew the descriptor."
    FeedEmpty "feed-empty" Warning true
        "No batch of a feed is here yet."
        "Provider: `publish`. Relay: wait some minutes, then look at its peers and at the provider's id."
    PartBroken "part-broken" Warning true
        "A sealed part of a carried feed breaks a rule; the provider is to blame."
        "Tell the provider."
    DiskCapNear "disk-cap-near" Warning true
        "More than 95 % of the disk cap is used; the oldest batches are deleted next."
        "Raise `retain.max_bytes` in `node.toml`, or carry fewer feeds."
    CapInRetention "cap-in-retention" Warning true
        "Batches younger than `retain.max_age` were deleted for want of room: phones that need them must find them elsewhere."
        "Raise `retain.max_bytes` in `node.toml` and start the node anew, or carry fewer feeds. What others still have is fetched again."
    CertificateExpiring "certificate-expiring" Warning false
        "The certificate of the intake ends within 14 days."
        "Renew it in its file; the node takes it without a restart."
    DescriptorExpiring "descriptor-expiring" Warning true
        "The descriptor ends within 60 days."
        "Renew it with the root key: `descriptor renew`."
    ZoneCost "zone-cost" Warning false
        "A zone costs a phone more than 5,000,000 bytes a day."
        "Smaller zones, a longer interval, or `privacy = \"linkable\"`."
    FewPatients "few-patients" Warning false
        "The newest sealed batch is of fewer than 10 patients, who can be told apart."
        "A longer interval or a larger zone."
    LogLost "log-lost" Warning false
        "Log lines could not be written and are lost."
        "Make room where the log is written, or start the node anew with somebody who reads it."
    RootKeyOnline "root-key-online" Warning false
        "A root key lies on the machine of the node."
        "Take it offline, on two media."
}
