-- What boxes publish, in PostgreSQL 13 or newer: psql -v ON_ERROR_STOP=1 -f schema.sql
-- Run it again after an update: tables stay, functions and views are replaced. docs/fleet.md explains the columns.
-- `instore.take` stores messages; each row of counts, periods and flow is there once, by its window_id.
BEGIN;
CREATE SCHEMA IF NOT EXISTS instore;

-- One row for each site. A site that sends is added by itself; region and day_starts are yours to fill in, the time
-- zone is taken from the `periods` messages. day_starts is `site.day_starts` of the boxes.
CREATE TABLE IF NOT EXISTS instore.stores (
    site text PRIMARY KEY,
    region text NOT NULL DEFAULT '',
    timezone text NOT NULL DEFAULT 'UTC' CHECK ((timestamptz '2026-01-01' AT TIME ZONE timezone) IS NOT NULL),
    day_starts time NOT NULL DEFAULT '00:00' CHECK (extract(epoch FROM day_starts) % 900 = 0)
);

-- The hours of every store's day that a message came from, by time zone and start of the day.
CREATE TABLE IF NOT EXISTS instore.calendar (
    timezone text NOT NULL,
    day_starts time NOT NULL,
    day date NOT NULL,
    starts timestamptz NOT NULL,
    ends timestamptz NOT NULL,
    PRIMARY KEY (timezone, day_starts, day, starts)
);
CREATE INDEX IF NOT EXISTS calendar_starts ON instore.calendar (timezone, day_starts, starts);

-- One row for each closed window of a camera and zone. starts is part of the key because a partitioned table needs
-- it there; window_id alone determines it. day: the store's day that holds starts.
CREATE TABLE IF NOT EXISTS instore.counts (
    window_id uuid NOT NULL,
    site text NOT NULL,
    camera text NOT NULL,
    zone text NOT NULL,
    day date NOT NULL,
    sequence bigint NOT NULL,
    starts timestamptz NOT NULL,
    ends timestamptz NOT NULL,
    released bigint,
    covered_seconds double precision NOT NULL,
    frames_analysed bigint NOT NULL,
    model text NOT NULL,
    method text NOT NULL,
    minimum integer NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (window_id, starts)
);
CREATE INDEX IF NOT EXISTS counts_day ON instore.counts (site, camera, zone, day, starts);
DROP INDEX IF EXISTS instore.counts_sequence;
CREATE INDEX IF NOT EXISTS counts_ends ON instore.counts (site, camera, zone, ends, sequence);
CREATE INDEX IF NOT EXISTS counts_starts ON instore.counts (starts);

-- One row for each number that a counts message released. Its visits came in [since, ends); since is null where that
-- is the store's day so far (kinds group and other).
CREATE TABLE IF NOT EXISTS instore.cells (
    window_id uuid NOT NULL,
    site text NOT NULL,
    camera text NOT NULL,
    zone text NOT NULL,
    day date NOT NULL,
    starts timestamptz NOT NULL,
    ends timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('bracket', 'unclassified', 'group', 'other')),
    cell text NOT NULL,
    visits bigint NOT NULL,
    since timestamptz,
    PRIMARY KEY (window_id, starts, kind, cell)
);
CREATE INDEX IF NOT EXISTS cells_day ON instore.cells (site, day);

-- One row for each closed local hour and day, of a zone of a camera or of a box.
CREATE TABLE IF NOT EXISTS instore.periods (
    window_id uuid NOT NULL,
    site text NOT NULL,
    box text,
    camera text,
    zone text,
    sequence bigint NOT NULL,
    period text NOT NULL CHECK (period IN ('hour', 'day')),
    day date NOT NULL,
    timezone text NOT NULL,
    starts timestamptz NOT NULL,
    ends timestamptz NOT NULL,
    figures jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (window_id, starts)
);
CREATE INDEX IF NOT EXISTS periods_day ON instore.periods (site, day, period);
CREATE INDEX IF NOT EXISTS periods_starts ON instore.periods (starts);

-- One row for each window, hour and day of a camera or box, without ages and with noise.
CREATE TABLE IF NOT EXISTS instore.flow (
    window_id uuid NOT NULL,
    site text NOT NULL,
    box text,
    camera text,
    sequence bigint NOT NULL,
    period text NOT NULL CHECK (period IN ('window', 'hour', 'day')),
    starts timestamptz NOT NULL,
    ends timestamptz NOT NULL,
    visits bigint NOT NULL,
    entries bigint,
    exits bigint,
    inside bigint,
    covered_seconds double precision NOT NULL,
    message jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (window_id, starts)
);
CREATE INDEX IF NOT EXISTS flow_place ON instore.flow (site, box, camera, period, starts);
CREATE INDEX IF NOT EXISTS flow_starts ON instore.flow (starts);

-- The last state of each box and camera. A camera that is removed is removed here.
CREATE TABLE IF NOT EXISTS instore.status (
    topic text PRIMARY KEY,
    site text NOT NULL,
    box text,
    camera text,
    state text NOT NULL,
    since timestamptz,
    reason text NOT NULL,
    version text,
    model text,
    received_at timestamptz NOT NULL DEFAULT now()
);

-- Messages that are none of ours, or of another site than their topic says.
CREATE TABLE IF NOT EXISTS instore.refused (
    received_at timestamptz NOT NULL DEFAULT now(),
    topic text NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL
);

-- When a store's day starts: the first quarter of an hour at which its clock shows day_starts of this date, or later.
-- PostgreSQL by itself takes the second of two equal times, and a time after the gap for one that is skipped.
CREATE OR REPLACE FUNCTION instore.day_start(day date, timezone text, day_starts time) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT min(quarter)
    FROM generate_series((day + day_starts) AT TIME ZONE timezone - interval '3 hours',
                         (day + day_starts) AT TIME ZONE timezone + interval '3 hours',
                         interval '15 minutes') AS quarter
    WHERE quarter AT TIME ZONE timezone >= day + day_starts
$$;

-- The next instant at which the clock shows the minute of day_starts, or an hour later.
CREATE OR REPLACE FUNCTION instore.next_hour(instant timestamptz, timezone text, day_starts time) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT coalesce(min(quarter), instant + interval '1 hour')
    FROM generate_series(instant + interval '15 minutes', instant + interval '45 minutes',
                         interval '15 minutes') AS quarter
    WHERE extract(minute FROM quarter AT TIME ZONE timezone) = extract(minute FROM day_starts)
$$;

-- The hours [starts, ends) of a store's day: 24, or 23 or 25 where the clock changes.
CREATE OR REPLACE FUNCTION instore.hours_of(day date, timezone text, day_starts time)
RETURNS TABLE (starts timestamptz, ends timestamptz) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE
    bounds AS (
        SELECT instore.day_start(day, timezone, day_starts) AS first,
               instore.day_start(day + 1, timezone, day_starts) AS last
    ),
    hours AS (
        SELECT first AS starts, least(last, instore.next_hour(first, timezone, day_starts)) AS ends, last
        FROM bounds
        UNION ALL
        SELECT ends, least(last, instore.next_hour(ends, timezone, day_starts)), last FROM hours WHERE ends < last
    )
    SELECT starts, ends FROM hours WHERE starts < ends
$$;

-- Adds the hours of these days. A date that the clock skips as a whole has none.
CREATE OR REPLACE FUNCTION instore.extend_calendar(zone_name text, begins time, days date[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO instore.calendar
    SELECT zone_name, begins, new.day, hour.starts, hour.ends
    FROM (SELECT DISTINCT unnest(days)) AS new(day), instore.hours_of(new.day, zone_name, begins) AS hour
    WHERE NOT EXISTS (
        SELECT FROM instore.calendar
        WHERE (timezone, day_starts, calendar.day) = (zone_name, begins, new.day)
    )
    ON CONFLICT DO NOTHING
$$;

-- A store whose time zone or start of the day turns out to be another: its windows belong to other days.
CREATE OR REPLACE FUNCTION instore.move_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM instore.extend_calendar(NEW.timezone, NEW.day_starts, (
        SELECT array_agg(DISTINCT day + around) FROM instore.counts, unnest(ARRAY[-1, 0, 1]) AS around
        WHERE site = NEW.site
    ));
    UPDATE instore.counts AS window_ SET day = hour.day FROM instore.calendar AS hour
    WHERE window_.site = NEW.site AND (hour.timezone, hour.day_starts) = (NEW.timezone, NEW.day_starts)
        AND window_.starts >= hour.starts AND window_.starts < hour.ends;
    UPDATE instore.cells SET day = counts.day FROM instore.counts
    WHERE cells.site = NEW.site AND (cells.window_id, cells.starts) = (counts.window_id, counts.starts);
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS move_days ON instore.stores;
CREATE TRIGGER move_days AFTER UPDATE OF timezone, day_starts ON instore.stores FOR EACH ROW
    WHEN ((OLD.timezone, OLD.day_starts) IS DISTINCT FROM (NEW.timezone, NEW.day_starts))
    EXECUTE FUNCTION instore.move_days();

-- The released numbers of a counts message, or of the figures of a period.
CREATE OR REPLACE FUNCTION instore.numbers(figures jsonb) RETURNS TABLE (kind text, cell text, visits bigint)
LANGUAGE sql IMMUTABLE AS $$
    SELECT * FROM (
        SELECT 'bracket', key, value::bigint FROM jsonb_each_text(figures -> 'counts')
        UNION ALL SELECT 'unclassified', 'unclassified', (figures ->> 'unclassified')::bigint
        UNION ALL SELECT 'group', key, value::bigint FROM jsonb_each_text(figures -> 'groups')
        UNION ALL SELECT 'other', 'other', (figures ->> 'other')::bigint
    ) AS found(kind, cell, visits)
    WHERE visits IS NOT NULL
$$;

-- The passages of each line of a flow message, with noise.
CREATE OR REPLACE FUNCTION instore.lines(message jsonb)
RETURNS TABLE (line text, "in" bigint, "out" bigint, entrance boolean) LANGUAGE sql IMMUTABLE AS $$
    SELECT key, (value ->> 'in')::bigint, (value ->> 'out')::bigint, (value ->> 'entrance')::boolean
    FROM jsonb_each(message -> 'lines')
$$;

-- A number that no store can have would break the sums of every board, so it is refused. A view casts those in figures
-- and message each time that it is read, so they are read once when they are stored. Rows from before an update stay.
CREATE OR REPLACE FUNCTION instore.is_count(VARIADIC numbers bigint[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(bool_and(n BETWEEN -999999999 AND 999999999), true) FROM unnest(numbers) AS n
$$;
CREATE OR REPLACE FUNCTION instore.are_counts(figures jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(bool_and(instore.is_count(visits)), true) FROM instore.numbers(figures)
$$;
CREATE OR REPLACE FUNCTION instore.lines_are_counts(message jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(bool_and(instore.is_count("in", "out")), true) FROM instore.lines(message)
$$;
ALTER TABLE instore.counts DROP CONSTRAINT IF EXISTS numbers, ADD CONSTRAINT numbers CHECK (
    covered_seconds BETWEEN 0 AND 1e9 AND sequence BETWEEN 1 AND 1e15) NOT VALID;
ALTER TABLE instore.cells DROP CONSTRAINT IF EXISTS numbers, ADD CONSTRAINT numbers CHECK (
    visits BETWEEN -999999999 AND 999999999) NOT VALID;
ALTER TABLE instore.periods DROP CONSTRAINT IF EXISTS numbers, ADD CONSTRAINT numbers CHECK (
    instore.are_counts(figures) AND sequence BETWEEN 1 AND 1e15) NOT VALID;
ALTER TABLE instore.flow DROP CONSTRAINT IF EXISTS numbers, ADD CONSTRAINT numbers CHECK (
    instore.is_count(visits, entries, exits, inside) AND instore.lines_are_counts(message)
    AND covered_seconds BETWEEN 0 AND 1e9 AND sequence BETWEEN 1 AND 1e15) NOT VALID;

-- The messages of one schema in a batch, each window_id of a site once: the last one.
CREATE OR REPLACE FUNCTION instore.of_schema(messages jsonb, name text) RETURNS TABLE (payload jsonb)
LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT ON (given.payload ->> 'site', (given.payload ->> 'window_id')::uuid) given.payload
    FROM (
        SELECT message -> 'payload' AS payload, place
        FROM jsonb_array_elements(messages) WITH ORDINALITY AS one(message, place)
        WHERE message -> 'payload' ->> 'schema' = name
    ) AS given
    ORDER BY given.payload ->> 'site', (given.payload ->> 'window_id')::uuid, place DESC
$$;

-- Adds the sites of these messages, their time zones and the hours of their days.
CREATE OR REPLACE FUNCTION instore.take_stores(messages jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE new record;
BEGIN
    INSERT INTO instore.stores (site)
    SELECT DISTINCT message -> 'payload' ->> 'site' FROM jsonb_array_elements(messages) AS given(message)
    WHERE message -> 'payload' ->> 'site' IS NOT NULL
    ORDER BY 1 ON CONFLICT DO NOTHING;
    UPDATE instore.stores SET timezone = told.timezone
    FROM (
        SELECT DISTINCT ON (payload ->> 'site') payload ->> 'site' AS site, payload ->> 'timezone' AS timezone,
            (payload -> 'figures' ->> 'start')::timestamptz AS starts
        FROM instore.of_schema(messages, 'instore.periods/1') ORDER BY payload ->> 'site', starts DESC
    ) AS told
    WHERE stores.site = told.site AND stores.timezone <> told.timezone AND NOT EXISTS (
        SELECT FROM instore.periods WHERE periods.site = told.site AND periods.starts > told.starts
    );
    FOR new IN
        SELECT timezone, day_starts, array_agg(DISTINCT (starts AT TIME ZONE timezone)::date + around) AS days
        FROM (
            SELECT timezone, day_starts, (payload ->> 'start')::timestamptz AS starts
            FROM instore.of_schema(messages, 'instore.counts/2') JOIN instore.stores ON site = payload ->> 'site'
        ) AS window_, unnest(ARRAY[-1, 0, 1]) AS around
        GROUP BY timezone, day_starts
    LOOP
        PERFORM instore.extend_calendar(new.timezone, new.day_starts, new.days);
    END LOOP;
END $$;

-- A row belongs to the site that sent it first: from another site it is refused, and neither changed nor lost in silence.
CREATE OR REPLACE FUNCTION instore.same_site(stored text, sent text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF stored <> sent THEN
        RAISE EXCEPTION 'its row is of site %', stored USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN stored;
END $$;

CREATE OR REPLACE FUNCTION instore.take_counts(messages jsonb) RETURNS void LANGUAGE sql AS $$
    WITH new AS (
        SELECT (payload ->> 'window_id')::uuid AS window_id, hour.day, payload,
            (payload ->> 'start')::timestamptz AS starts, (payload ->> 'end')::timestamptz AS ends
        FROM instore.of_schema(messages, 'instore.counts/2')
        JOIN instore.stores ON site = payload ->> 'site'
        -- without an hour there is no day, and the table refuses the row
        LEFT JOIN instore.calendar AS hour ON (hour.timezone, hour.day_starts) = (stores.timezone, stores.day_starts)
            AND hour.starts <= (payload ->> 'start')::timestamptz AND (payload ->> 'start')::timestamptz < hour.ends
            AND hour.starts > (payload ->> 'start')::timestamptz - interval '1 hour'
    ),
    row_ AS (
        INSERT INTO instore.counts
        SELECT window_id, payload ->> 'site', payload ->> 'camera', payload ->> 'zone', day,
            (payload ->> 'sequence')::bigint, starts, ends, (payload ->> 'released')::bigint,
            (payload -> 'coverage' ->> 'seconds')::double precision,
            (payload -> 'coverage' ->> 'frames_analysed')::bigint,
            concat_ws(' ', payload -> 'model' ->> 'name', payload -> 'model' ->> 'version'),
            payload -> 'privacy' ->> 'method', (payload -> 'privacy' ->> 'minimum')::integer
        FROM new ORDER BY window_id
        ON CONFLICT (window_id, starts) DO UPDATE SET
            sequence = excluded.sequence, released = excluded.released, covered_seconds = excluded.covered_seconds,
            frames_analysed = excluded.frames_analysed, model = excluded.model, method = excluded.method,
            minimum = excluded.minimum, site = instore.same_site(counts.site, excluded.site)
    ),
    number AS (
        SELECT window_id, payload ->> 'site' AS site, payload ->> 'camera' AS camera, payload ->> 'zone' AS zone,
            day, starts, ends, found.*,
            CASE WHEN kind IN ('bracket', 'unclassified')
                THEN coalesce((payload -> 'since' ->> cell)::timestamptz, starts) END AS since
        FROM new, instore.numbers(payload) AS found
    ),
    gone AS ( -- a window that comes again with other numbers, as from a box that lost its state
        DELETE FROM instore.cells USING new
        WHERE (cells.window_id, cells.starts) = (new.window_id, new.starts) AND NOT EXISTS (
            SELECT FROM number WHERE (number.window_id, number.kind, number.cell)
                = (cells.window_id, cells.kind, cells.cell)
        )
    )
    INSERT INTO instore.cells
    SELECT window_id, site, camera, zone, day, starts, ends, kind, cell, visits, since
    FROM number ORDER BY window_id
    ON CONFLICT (window_id, starts, kind, cell) DO UPDATE SET visits = excluded.visits, since = excluded.since
$$;

CREATE OR REPLACE FUNCTION instore.take_periods(messages jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO instore.periods
    SELECT (payload ->> 'window_id')::uuid, payload ->> 'site', payload ->> 'box', payload ->> 'camera',
        payload ->> 'zone', (payload ->> 'sequence')::bigint, payload ->> 'period', (payload ->> 'day')::date,
        payload ->> 'timezone', (payload -> 'figures' ->> 'start')::timestamptz,
        (payload -> 'figures' ->> 'end')::timestamptz, payload -> 'figures'
    FROM instore.of_schema(messages, 'instore.periods/1')
    ON CONFLICT (window_id, starts) DO UPDATE SET sequence = excluded.sequence, figures = excluded.figures,
        site = instore.same_site(periods.site, excluded.site)
$$;

CREATE OR REPLACE FUNCTION instore.take_flow(messages jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO instore.flow
    SELECT (payload ->> 'window_id')::uuid, payload ->> 'site', payload ->> 'box', payload ->> 'camera',
        (payload ->> 'sequence')::bigint, payload ->> 'period', (payload ->> 'start')::timestamptz,
        (payload ->> 'end')::timestamptz, (payload ->> 'visits')::bigint, (payload ->> 'entries')::bigint,
        (payload ->> 'exits')::bigint, (payload -> 'occupancy' ->> 'inside')::bigint,
        (payload -> 'coverage' ->> 'seconds')::double precision, payload
    FROM instore.of_schema(messages, 'instore.flow/1')
    ON CONFLICT (window_id, starts) DO UPDATE SET
        sequence = excluded.sequence, visits = excluded.visits, entries = excluded.entries, exits = excluded.exits,
        inside = excluded.inside, covered_seconds = excluded.covered_seconds, message = excluded.message,
        site = instore.same_site(flow.site, excluded.site)
$$;

-- The last message of each topic counts. An empty one is a camera that was removed.
CREATE OR REPLACE FUNCTION instore.take_status(messages jsonb) RETURNS void LANGUAGE sql AS $$
    WITH last AS (
        SELECT DISTINCT ON (message ->> 'topic') message ->> 'topic' AS topic, message -> 'payload' AS payload
        FROM jsonb_array_elements(messages) WITH ORDINALITY AS given(message, place)
        WHERE coalesce(message -> 'payload' ->> 'schema', '') IN ('instore.box/1', 'instore.camera/1', '')
        ORDER BY message ->> 'topic', place DESC
    ),
    gone AS (
        DELETE FROM instore.status USING last WHERE status.topic = last.topic AND payload = 'null'
    )
    INSERT INTO instore.status
    SELECT topic, payload ->> 'site', payload ->> 'box', payload ->> 'camera', payload ->> 'state',
        (payload ->> 'since')::timestamptz, payload ->> 'reason', payload ->> 'version',
        concat_ws(' ', payload -> 'model' ->> 'name', payload -> 'model' ->> 'version')
    FROM last WHERE payload <> 'null'
    ON CONFLICT (topic) DO UPDATE SET
        state = excluded.state, since = excluded.since, reason = excluded.reason, version = excluded.version,
        model = excluded.model, received_at = now(),
        site = instore.same_site(status.site, excluded.site)
$$;

-- Stores a batch: a JSON list of {"topic": text, "payload": message}, in the order in which they came. All or nothing.
CREATE OR REPLACE FUNCTION instore.take(messages jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT instore.take_stores(messages);
    SELECT instore.take_counts(messages);
    SELECT instore.take_periods(messages);
    SELECT instore.take_flow(messages);
    SELECT instore.take_status(messages);
$$;

-- Each released number over the hours of its span in proportion to time, by largest remainder, of equal ones the later
-- hour: what the box's own `today`, `periods` and export do (edge/release/books/spread.py).
CREATE OR REPLACE VIEW instore.visits AS
SELECT number.site, stores.region, number.camera, number.zone, number.day, part.starts, part.ends,
    part.starts AT TIME ZONE stores.timezone AS local_start, number.kind, number.cell, part.visits,
    number.window_id
FROM instore.cells AS number
JOIN instore.stores USING (site)
CROSS JOIN LATERAL ( -- counting began on this day; a span that began before is cut to that
    SELECT min(counts.starts) AS begun FROM instore.counts
    WHERE (counts.site, counts.camera, counts.zone, counts.day)
        = (number.site, number.camera, number.zone, number.day)
) AS first
CROSS JOIN LATERAL (
    SELECT greatest(coalesce(number.since, first.begun), first.begun) AS since
) AS span
CROSS JOIN LATERAL (
    SELECT starts, ends, sign(number.visits)::bigint * CASE WHEN count(*) OVER () = 1 THEN abs(number.visits)
        ELSE whole + (row_number() OVER (ORDER BY rest DESC, starts DESC)
            <= abs(number.visits) - sum(whole) OVER ())::int END AS visits
    FROM (
        SELECT starts, ends, abs(number.visits) * shared / nullif(sum(shared) OVER (), 0)::bigint AS whole,
            abs(number.visits) * shared % nullif(sum(shared) OVER (), 0)::bigint AS rest
        FROM (
            SELECT starts, ends, reached, bool_or(reached) OVER () AS somewhere,
                row_number() OVER (ORDER BY starts < number.ends DESC,
                    CASE WHEN starts < number.ends THEN starts END DESC, starts) AS nearness,
                (extract(epoch FROM greatest(least(ends, number.ends) - greatest(starts, span.since), interval '0'))
                    * 1000000)::bigint AS shared
            FROM (
                SELECT greatest(hour.starts, first.begun) AS starts, hour.ends,
                    greatest(hour.starts, first.begun) < number.ends AND hour.ends > span.since AS reached
                FROM instore.calendar AS hour
                WHERE (hour.timezone, hour.day_starts, hour.day)
                    = (stores.timezone, stores.day_starts, number.day) AND hour.ends > first.begun
            ) AS hour
        ) AS hour
        WHERE reached OR NOT somewhere AND nearness = 1
    ) AS shares
) AS part;

CREATE OR REPLACE VIEW instore.zone_hours AS
SELECT site, region, camera, zone, day, starts, ends, local_start, kind, cell, sum(visits)::bigint AS visits
FROM instore.visits GROUP BY site, region, camera, zone, day, starts, ends, local_start, kind, cell;

-- The hours of a store; of one that began to count within an hour, by the hour of its clock.
CREATE OR REPLACE VIEW instore.store_hours AS
SELECT site, region, day, date_trunc('hour', local_start) AS local_hour, kind, cell, sum(visits)::bigint AS visits
FROM instore.visits GROUP BY site, region, day, date_trunc('hour', local_start), kind, cell;

CREATE OR REPLACE VIEW instore.store_days AS
SELECT site, region, day, kind, cell, sum(visits)::bigint AS visits
FROM instore.cells JOIN instore.stores USING (site) GROUP BY site, region, day, kind, cell;

CREATE OR REPLACE VIEW instore.region_hours AS
SELECT region, day, local_hour, kind, cell, sum(visits)::bigint AS visits, count(DISTINCT site) AS stores
FROM instore.store_hours GROUP BY region, day, local_hour, kind, cell;

CREATE OR REPLACE VIEW instore.region_days AS
SELECT region, day, kind, cell, sum(visits)::bigint AS visits, count(DISTINCT site) AS stores
FROM instore.store_days GROUP BY region, day, kind, cell;

-- How long the cameras of a store watched on a day; each zone of a camera tells the same.
CREATE OR REPLACE VIEW instore.coverage AS
SELECT site, camera, day, sum(covered_seconds) AS covered_seconds, sum(seconds) AS seconds
FROM (
    SELECT site, camera, day, starts, max(covered_seconds) AS covered_seconds,
        max(extract(epoch FROM ends - starts)) AS seconds
    FROM instore.counts GROUP BY site, camera, day, starts
) AS window_ GROUP BY site, camera, day;

-- The released numbers of closed hours and days, as the boxes sum them up themselves.
CREATE OR REPLACE VIEW instore.period_visits AS
SELECT site, region, box, camera, zone, period, day, starts, ends, starts AT TIME ZONE periods.timezone AS local_start,
    found.kind, found.cell, found.visits
FROM instore.periods JOIN instore.stores USING (site), instore.numbers(figures) AS found;

-- The passages of each line, with noise.
CREATE OR REPLACE VIEW instore.passages AS
SELECT site, camera, period, starts, ends, passage.line, passage."in", passage."out", passage.entrance
FROM instore.flow, instore.lines(message) AS passage WHERE camera IS NOT NULL;

-- Messages that never came: a full outbox dropped them, or a broker lost them. Those after the last one are not known, and
-- none between two where a box that lost its state counts from 1 again.
CREATE OR REPLACE VIEW instore.gaps AS
SELECT what, site, box, camera, zone, sequence - previous - 1 AS missing, previous AS after_sequence, after, starts AS before
FROM (
    SELECT 'counts' AS what, site, NULL AS box, camera, zone, sequence, starts,
        lag(sequence) OVER topic AS previous, lag(ends) OVER topic AS after
    FROM instore.counts WINDOW topic AS (PARTITION BY site, camera, zone ORDER BY ends, sequence)
    UNION ALL
    SELECT 'periods', site, box, camera, zone, sequence, starts, lag(sequence) OVER topic, lag(ends) OVER topic
    FROM instore.periods WINDOW topic AS (PARTITION BY site, box, camera, zone ORDER BY ends, sequence)
    UNION ALL
    SELECT 'flow', site, box, camera, NULL, sequence, starts, lag(sequence) OVER topic, lag(ends) OVER topic
    FROM instore.flow WINDOW topic AS (PARTITION BY site, box, camera ORDER BY ends, sequence)
) AS topic WHERE sequence > previous + 1;

-- Boxes that are offline, or that have sent no window for half an hour. A box is known by its first status.
CREATE OR REPLACE VIEW instore.missing_boxes AS
SELECT site, region, box, state, status.since, reason, heard.last_end, now() - heard.last_end AS silent
FROM instore.status JOIN instore.stores USING (site)
CROSS JOIN LATERAL (
    SELECT max(flow.ends) AS last_end FROM instore.flow
    WHERE flow.site = status.site AND flow.box = status.box AND flow.period = 'window'
) AS heard
WHERE status.box IS NOT NULL
    AND (state = 'offline' OR heard.last_end IS NULL OR heard.last_end < now() - interval '30 minutes');

-- Sites in instore.stores of which no window came for half an hour, such as one whose box never connected.
CREATE OR REPLACE VIEW instore.missing_stores AS
SELECT site, region, heard.last_end, now() - heard.last_end AS silent
FROM instore.stores
CROSS JOIN LATERAL (
    SELECT max(flow.ends) AS last_end FROM instore.flow
    WHERE flow.site = stores.site AND flow.starts > now() - interval '30 days'
) AS heard
WHERE heard.last_end IS NULL OR heard.last_end < now() - interval '30 minutes';

-- Retention: deletes what ended longer ago than `keep`. Call it once a day: SELECT * FROM instore.forget('400 days').
CREATE OR REPLACE FUNCTION instore.forget(keep interval) RETURNS TABLE (name text, deleted bigint)
LANGUAGE plpgsql AS $$
DECLARE
    oldest timestamptz := now() - keep;
BEGIN
    FOREACH name IN ARRAY ARRAY['counts', 'cells', 'periods', 'flow'] LOOP
        EXECUTE format('DELETE FROM instore.%I WHERE ends < $1', name) USING oldest;
        GET DIAGNOSTICS deleted = ROW_COUNT;
        RETURN NEXT;
    END LOOP;
    name := 'refused';
    DELETE FROM instore.refused WHERE received_at < oldest;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN NEXT;
    DELETE FROM instore.calendar WHERE calendar.ends < oldest;
END $$;

COMMIT;
