//! Every statement, in the dialect that SQLite and PostgreSQL share.
//!
//! `$n` parameters, TEXT and BIGINT, sums cast to BIGINT, no `now()`. The lists let a test prepare
//! each of them.

use super::bulk::Bulk;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $text;)*
        /// Every statement by name.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $text)),*];
    };
}

statements! {

    INSERT_SALE = "insert into sale \
        (id, number, revision, phase, stock, taken, paid, wake_at, created_at, body) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    /// The guard comes first, so that a transaction begins with a write.
    UPDATE_SALE = "update sale set revision = $2, phase = $3, stock = $4, taken = $5, paid = $6, \
        wake_at = $7, body = $8 where id = $1 and revision = $9";
    /// Changes nothing, but only while the sale is as it was, and nobody else changes it before
    /// the transaction ends.
    TOUCH_SALE = "update sale set revision = revision where id = $1 and revision = $2";
    SELECT_REVISION = "select revision from sale where id = $1";
    SELECT_LIVE_REVISIONS = "select id, revision from sale where phase <> 'closed'";
    SELECT_LAST_REVISIONS = "select id, revision from sale order by number desc limit $1";
    SELECT_SALE = "select body from sale where id = $1";
    SELECT_SALES = "select body from sale order by number desc limit $1";
    SELECT_LIVE_SALES = "select id from sale where phase <> 'closed' order by number";
    SELECT_SALE_NUMBERED = "select id from sale where number = $1";
    SELECT_DUE_SALES = "select id from sale where wake_at <= $1 order by wake_at";
    SELECT_NEXT_WAKE = "select min(wake_at) as at from sale where wake_at is not null";

    SELECT_HOLDS = "select n, body from hold where sale = $1 order by n";

    SELECT_CHECKOUT = "select sale, n from checkout where provider = $1 and id = $2";
    SELECT_CHECKOUT_OF_ORDER = "select sale, n from checkout where provider = $1 and order_id = $2 \
        limit 1";

    /// An unmatched payment never takes a matched one's place.
    UPSERT_UNMATCHED = "insert into payment (provider, id, sale, fate, amount, currency, body) \
        values ($1, $2, null, 'unmatched', $3, $4, $5) on conflict (provider, id) do update set \
        body = excluded.body where payment.sale is null";
    DELETE_UNMATCHED = "delete from payment where provider = $1 and id = $2 and sale is null";
    SELECT_PAYMENTS = "select id, body from payment where sale = $1 order by id";
    SELECT_PAYMENT_SALE = "select sale from payment where provider = $1 and id = $2 \
        and sale is not null";
    SELECT_UNMATCHED = "select provider, id, body from payment where sale is null order by id";

    DELETE_EFFECT = "delete from outbox where id = $1 and token = $2";
    PARK_EFFECT = "update outbox set parked = 1, why = $3, leased_until = 0 \
        where id = $1 and token = $2";
    /// Only the head of a lane, and the guard repeated in the outer `where`: without it two
    /// workers on PostgreSQL lease the same row.
    LEASE_EFFECT = "update outbox set leased_until = $3, token = $4, attempts = attempts + 1 \
        where leased_until <= $2 and parked = 0 and id = ( \
            select o.id from outbox o \
            where o.target = $1 and o.parked = 0 and o.due_at <= $2 and o.leased_until <= $2 \
            and not exists (select 1 from outbox p where p.lane = o.lane and p.parked = 0 \
                and (p.queued_at < o.queued_at or (p.queued_at = o.queued_at and p.id < o.id))) \
            order by o.class, o.queued_at, o.id limit 1) \
        returning id, sale, class, attempts, generation, queued_at, effect, body";
    /// The same for one class only. Two plain statements, since a condition in the order would
    /// keep the index from giving it.
    LEASE_EFFECT_OF_CLASS = "update outbox set leased_until = $3, token = $4, \
        attempts = attempts + 1 where leased_until <= $2 and parked = 0 and id = ( \
            select o.id from outbox o where o.target = $1 and o.parked = 0 and o.class = $5 \
            and o.due_at <= $2 and o.leased_until <= $2 \
            and not exists (select 1 from outbox p where p.lane = o.lane and p.parked = 0 \
                and (p.queued_at < o.queued_at or (p.queued_at = o.queued_at and p.id < o.id))) \
            order by o.queued_at, o.id limit 1) \
        returning id, sale, class, attempts, generation, queued_at, effect, body";
    POSTPONE_EFFECT = "update outbox set leased_until = 0, due_at = $3, why = $4, \
        attempts = attempts - $5 where id = $1 and token = $2";
    AMEND_EFFECT = "update outbox set leased_until = 0, due_at = $3, why = $4, attempts = 0, \
        generation = generation + 1, body = $5 where id = $1 and token = $2";
    END_LEASES = "update outbox set leased_until = 0 where target = $1 and leased_until > $2";
    /// Heads of lanes only: a row behind one may be due long before it can be leased.
    SELECT_NEXT_EFFECT = "select min(case when o.due_at > o.leased_until then o.due_at \
        else o.leased_until end) as at from outbox o where o.target = $1 and o.parked = 0 \
        and not exists (select 1 from outbox p where p.lane = o.lane and p.parked = 0 \
            and (p.queued_at < o.queued_at or (p.queued_at = o.queued_at and p.id < o.id)))";
    COUNT_EFFECTS = "select cast(count(*) as bigint) as n, \
        cast(coalesce(sum(parked), 0) as bigint) as parked from outbox";
    SELECT_PARKED = "select id, sale, effect, why, queued_at from outbox where parked = 1 \
        order by queued_at, id";
    SELECT_WORK = "select id, effect, due_at, attempts, parked, why from outbox where sale = $1 \
        order by queued_at, id";
    RETRY_EFFECT = "update outbox set parked = 0, attempts = 0, due_at = $2, leased_until = 0, \
        token = '' where id = $1 and parked = 1";

    INSERT_JOURNAL = "insert into journal (sale, revision, at, body) values ($1, $2, $3, $4)";
    SELECT_JOURNAL = "select revision, body from journal where sale = $1 and revision >= $2 \
        order by revision";

    /// The first line of a sale's journal is the last of its details to go: while it is there,
    /// there is something to do, and looking for it takes no index of its own.
    SELECT_OLD_SALES = "select s.number, s.body from sale s where s.phase = 'closed' \
        and s.created_at < $1 and s.number > $2 and exists (select 1 from journal j where j.sale = s.id \
        and j.revision = 1) order by s.number limit $3";
    COUNT_ARCHIVED = "select cast(count(*) as bigint) as n from sale s where s.phase = 'closed' \
        and not exists (select 1 from journal j where j.sale = s.id and j.revision = 1)";
    /// Changes nothing, but nobody else changes the sale before the transaction ends.
    LOCK_SALE = "update sale set revision = revision where id = $1 returning body";
    SELECT_SOME_HOLDS = "select n, body from hold where sale = $1 order by n limit 64";
    /// One by one: a list of pairs has SQLite look through the whole table.
    DELETE_CHECKOUT = "delete from checkout where provider = $1 and id = $2 and sale = $3";
    DELETE_HOLDS = "delete from hold where sale = $1 and n <= $2";
    DELETE_JOURNAL = "delete from journal where sale = $1 and revision in (select revision \
        from journal where sale = $1 and revision > 1 and revision < $2 \
        order by revision limit 256)";
    DELETE_FIRST_LINE = "delete from journal where sale = $1 and revision = 1";

    /// Codes that were used up stay so for ever.
    PRUNE_SEEN = "delete from seen where (source, id) in (select source, id from seen \
        where at < $1 and source not like 'code:%' limit 500)";
    DELETE_SEEN = "delete from seen where source = $1 and id = $2";

    INSERT_SHOP = "insert into shop (id, version, secret, body) values (1, 0, $1, $2) \
        on conflict (id) do nothing";
    SELECT_SHOP = "select version, body from shop where id = 1";
    SELECT_SECRET = "select secret from shop where id = 1";
    UPDATE_SHOP = "update shop set version = $1, body = $2 where id = 1 and version = $3";

    KEEP_TURN = "update lease set until = $3 where name = $1 and owner = $2";
    TAKE_TURN = "insert into lease (name, owner, until) values ($1, $2, $3) \
        on conflict (name) do update set owner = excluded.owner, until = excluded.until \
        where lease.until <= $4";

    INSERT_DOC = "insert into document (kind, id, parent, version, body) \
        values ($1, $2, $3, 1, $4) on conflict (kind, id) do nothing";
    UPDATE_DOC = "update document set parent = $3, version = version + 1, body = $4 \
        where kind = $1 and id = $2 and version = $5";
    DELETE_DOC = "delete from document where kind = $1 and id = $2 and version = $3";
    SELECT_DOC = "select id, parent, version, body from document where kind = $1 and id = $2";
    SELECT_DOCS = "select id, parent, version, body from document where kind = $1 order by id";
    /// What only shows that a row can be written.
    UPSERT_PROOF = "insert into document (kind, id, parent, version, body) \
        values ('store', 'written', '', 1, $1) on conflict (kind, id) do update set \
        version = document.version + 1, body = excluded.body returning version";
    SELECT_PROOF = "select version from document where kind = 'store' and id = 'written'";
    /// Whether the log that SQLite keeps beside the file is needed to read it.
    UPSERT_LOG = "insert into document (kind, id, parent, version, body) \
        values ('store', 'log', '', 1, $1) on conflict (kind, id) do update set \
        version = document.version + 1, body = excluded.body";
    SELECT_LOG = "select body from document where kind = 'store' and id = 'log'";
    SELECT_DOCS_OF = "select id, parent, version, body from document \
        where kind = $1 and parent = $2 order by id";
}

/// A row in every table, each as a sale writes it. Always taken back.
pub const TRIAL: &[&str] = &[
    "update shop set version = version where id = 1",
    "insert into sale (id, number, revision, phase, stock, taken, paid, wake_at, created_at, body) \
        values ('trial', -1, 0, 'closed', 0, 0, 0, null, 0, '')",
    "update sale set revision = 1 where id = 'trial'",
    "insert into hold (sale, n, buyer, state, units, body) \
        values ('trial', 1, null, 'released', 1, '')",
    "update hold set units = 2 where sale = 'trial'",
    "insert into checkout (provider, id, order_id, sale, n) \
        values ('trial', 'trial', 'trial', 'trial', 1)",
    "insert into payment (provider, id, sale, fate, amount, currency, body) \
        values ('trial', 'trial', 'trial', 'kept', 0, '', '')",
    "update payment set amount = 1 where provider = 'trial'",
    "insert into outbox (id, sale, lane, target, class, due_at, queued_at, leased_until, token, \
        attempts, generation, parked, why, effect, body) \
        values ('trial', 'trial', '', '', 0, 0, 0, 0, '', 0, 0, 0, '', '', '')",
    "update outbox set attempts = 1 where id = 'trial'",
    "delete from outbox where id = 'trial'",
    "insert into journal (sale, revision, at, body) values ('trial', 1, 0, '')",
    "insert into seen (source, id, at) values ('trial', 'trial', 0)",
    "delete from seen where source = 'trial'",
    "insert into lease (name, owner, until) values ('trial', '', 0)",
    "update lease set until = 1 where name = 'trial'",
    "insert into document (kind, id, parent, version, body) \
        values ('trial', 'trial', '', 1, '')",
    "update document set version = 2 where kind = 'trial'",
    "delete from document where kind = 'trial'",
];

/// PostgreSQL only.
pub(super) const NOTIFY: &str = "select pg_notify($1, $2)";

/// PostgreSQL only.
pub(super) const SELECT_BACKEND: &str = "select pg_backend_pid() as pid";

/// PostgreSQL only: its clock at this very moment, in milliseconds.
pub(super) const SELECT_CLOCK: &str =
    "select cast(floor(extract(epoch from clock_timestamp()) * 1000) as bigint) as now";

/// Every statement that only PostgreSQL knows.
pub const POSTGRES: &[(&str, &str)] =
    &[("NOTIFY", NOTIFY), ("SELECT_BACKEND", SELECT_BACKEND), ("SELECT_CLOCK", SELECT_CLOCK)];

pub(super) const INSERT_SEEN: Bulk = Bulk {
    name: "INSERT_SEEN",
    head: "insert into seen (source, id, at) values",
    row: "($1, $2, $3)",
    columns: 3,
    tail: "on conflict (source, id) do nothing",
};

pub(super) const UPSERT_HOLD: Bulk = Bulk {
    name: "UPSERT_HOLD",
    head: "insert into hold (sale, n, buyer, state, units, body) values",
    row: "($1, $2, $3, $4, $5, $6)",
    columns: 6,
    tail: "on conflict (sale, n) do update set buyer = excluded.buyer, state = excluded.state, \
           units = excluded.units, body = excluded.body",
};

pub(super) const INSERT_CHECKOUT: Bulk = Bulk {
    name: "INSERT_CHECKOUT",
    head: "insert into checkout (provider, id, order_id, sale, n) values",
    row: "($1, $2, $3, $4, $5)",
    columns: 5,
    tail: "on conflict (provider, id) do nothing",
};

pub(super) const UPSERT_PAYMENT: Bulk = Bulk {
    name: "UPSERT_PAYMENT",
    head: "insert into payment (provider, id, sale, fate, amount, currency, body) values",
    row: "($1, $2, $3, $4, $5, $6, $7)",
    columns: 7,
    tail: "on conflict (provider, id) do update set sale = excluded.sale, fate = excluded.fate, \
           amount = excluded.amount, currency = excluded.currency, body = excluded.body",
};

pub(super) const INSERT_EFFECT: Bulk = Bulk {
    name: "INSERT_EFFECT",
    head: "insert into outbox (id, sale, lane, target, class, due_at, queued_at, leased_until, \
           token, attempts, generation, parked, why, effect, body) values",
    row: "($1, $2, $3, $4, $5, $6, $7, 0, '', 0, 0, 0, '', $8, $9)",
    columns: 9,
    tail: "",
};

/// Every statement that takes several rows.
pub const BULK: &[&Bulk] =
    &[&INSERT_SEEN, &UPSERT_HOLD, &INSERT_CHECKOUT, &UPSERT_PAYMENT, &INSERT_EFFECT];
