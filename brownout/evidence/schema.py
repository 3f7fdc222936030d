"""The tables of `evidence.sqlite`. Documented for people in docs/evidence.md; a published format is a promise.

Comments in the statements are kept by SQLite: `.schema` shows them. Times are seconds since the run's start.
"""

import sqlite3

SCHEMA_VERSION = 1
"""`PRAGMA user_version`. Goes up with every change that an older reader would misread. A new table or column is none:
readers name what they read, and take what an older file lacks as never recorded."""
APPLICATION_ID = 0x42524F57
"""`PRAGMA application_id`: "BROW", by which the file is known to be ours (https://sqlite.org/fileformat2.html)."""

TABLES = """
CREATE TABLE run (                  -- what was run; one row a key, see docs/evidence.md
    key TEXT PRIMARY KEY,
    value                           -- text, number or NULL; lists and mappings as JSON
) WITHOUT ROWID;

CREATE TABLE request (              -- one question asked, timed from when it was meant to be sent
    id INTEGER PRIMARY KEY,         -- number of the request in the run
    intended REAL NOT NULL,         -- s, when it was due
    sent REAL NOT NULL,             -- s, when it was really sent
    first_token REAL,               -- s; of an answer that was not streamed: when it was there
    done REAL,                      -- s, when it ended, however it ended
    outcome TEXT NOT NULL,          -- ok | error | timeout | cut | refused | pending
    status INTEGER,                 -- HTTP status; NULL where no answer began
    error TEXT,                     -- the error's code or class; never a prompt or an answer
    error_source TEXT,              -- provider | own_system | rate_limit
    question TEXT NOT NULL,         -- id of the question, not its text
    tenant TEXT NOT NULL,
    tier TEXT NOT NULL,
    policy TEXT NOT NULL,           -- consistency policy that was asked for
    stream INTEGER NOT NULL,        -- 1 where the answer was streamed
    load TEXT,                      -- name of the stream of load; NULL where it has none
    retry_after REAL,               -- s, after which it may be tried again, as the answer says
    request_id TEXT,                -- the stack's own id
    model TEXT,
    provider TEXT,                  -- who wrote the answer; of one from a cache, who wrote it then
    level INTEGER,                  -- degradation level as disclosed; NULL where none was
    retrieval TEXT,                 -- dense+keyword | cached | keyword | none, as the stack says
    retrieval_quality TEXT,         -- high | medium | low | none
    cache_used INTEGER,             -- 0 | 1
    cache_age REAL,                 -- s, age of what came from a cache
    warnings TEXT NOT NULL,         -- JSON list of texts
    citations TEXT NOT NULL,        -- JSON list of document ids
    claims INTEGER,                 -- statements that the answer cites a document for; NULL where nobody looked
    claims_supported INTEGER,       -- those of them that the cited document makes
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    tpot REAL,                      -- s, mean time between output tokens after the first
    cost REAL,                      -- USD
    attempts TEXT NOT NULL          -- JSON object: calls made to each dependency
);

CREATE TABLE "transition" (         -- a circuit breaker changed state (the name is an SQL keyword: quote it)
    at REAL NOT NULL,               -- s
    dependency TEXT NOT NULL,
    old TEXT,                       -- closed | open | half-open; NULL where it was first seen
    new TEXT NOT NULL,              -- closed | open | half-open
    reason TEXT NOT NULL
);

CREATE TABLE sample (               -- one value of one metric series
    at REAL NOT NULL,               -- s
    source TEXT NOT NULL,           -- who said it: a service's name, proxy, target, host, prometheus, cross-check
    metric TEXT NOT NULL,           -- its name; of prometheus: the query that it answers
    labels TEXT NOT NULL,           -- JSON object
    value REAL                      -- in the metric's own unit; NULL where it was said to be no number
);

CREATE TABLE event (                -- something worth a mark on the timeline
    at REAL NOT NULL,               -- s
    kind TEXT NOT NULL,             -- phase | abort | error | note | warning | platform
    text TEXT NOT NULL,
    detail TEXT NOT NULL            -- JSON object; always empty
);

CREATE TABLE fault (                -- a fault of the method, while it was really on
    step INTEGER PRIMARY KEY,       -- its place in the method, from 0
    fault TEXT NOT NULL,            -- its registered name
    title TEXT NOT NULL,
    on_at REAL NOT NULL,            -- s
    off_at REAL,                    -- s; NULL while it is on
    works INTEGER,                  -- 1 where what was counted shows that it was on; NULL without a proof
    proof TEXT,                     -- that, in one sentence
    figures TEXT                    -- JSON object of numbers: what was counted
);

CREATE TABLE document (             -- a document that the system was given
    id TEXT NOT NULL,
    tenant TEXT NOT NULL            -- whose it is
);

CREATE TABLE question (             -- a question whose answer is known
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    sources TEXT NOT NULL           -- JSON list of ids of the documents that hold the answer; empty where none does
);

CREATE TABLE write (                -- a document that was stored while the run lasted
    number INTEGER PRIMARY KEY,
    document TEXT NOT NULL,         -- its id, and the id of the question about it
    tenant TEXT NOT NULL,           -- whose it is
    intended REAL NOT NULL,         -- s, when it was due
    sent REAL NOT NULL,             -- s, when it was really sent
    done REAL NOT NULL,             -- s, when that ended, however it ended
    outcome TEXT NOT NULL,          -- acknowledged | refused | timeout | unanswered
    error TEXT,                     -- the error's code or class
    copies INTEGER                  -- how many of it the system held at the end; NULL where nobody counted
);

CREATE TABLE verdict (              -- what each check said at the end of the run
    block TEXT NOT NULL,            -- steady-state before | during | after | steady-state after
    probe TEXT NOT NULL,
    title TEXT NOT NULL,            -- the check as it stands in the experiment
    outcome TEXT NOT NULL,          -- passed | failed | inconclusive
    figure TEXT NOT NULL,           -- what was measured, for people
    threshold TEXT NOT NULL,        -- what was asked for, for people
    samples INTEGER NOT NULL,       -- observations that the figure rests on
    why TEXT NOT NULL,
    value REAL,                     -- the figure, in unit
    "limit" REAL,                   -- the threshold, in unit
    unit TEXT NOT NULL,             -- s | share | level | USD | empty
    low REAL,                       -- 95 % confidence interval of the figure, in unit;
    high REAL                       -- NULL where it has none, or none on that side
);
"""


def create(connection: sqlite3.Connection) -> None:
    """Make an empty file ours.

    The tables are made before the file turns to write-ahead logging, so that the file alone tells what it is, even
    where its log was lost.

    Raises:
        sqlite3.Error: it cannot be written.
    """
    connection.executescript(
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
        f"BEGIN; {TABLES} COMMIT;"
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    )
