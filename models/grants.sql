-- What the API and the workers may do in the database: each what its own code does, and no more. Neither may change the
-- schema. What only ever grows (facts, decisions, claims, steps, postings, the audit log) they can add to and not change;
-- of most other rows they can change the columns that change, and delete none.
--
-- `referrals db upgrade` applies this after each migration, in the same transaction, where REFERRALS_DATABASE_API_ROLE
-- and REFERRALS_DATABASE_WORKER_ROLE name the two roles. It changes nothing when it is applied again. `referrals db
-- grants` prints it for an administrator who applies it by hand. tests/models/test_grants.py holds it against the code.

-- Nobody but the owner creates anything here.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {api}, {worker};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {api}, {worker};
GRANT USAGE ON SCHEMA public TO {api}, {worker};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {api}, {worker};

-- Reading. How people sign in, and their tokens, are none of the workers' business.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {api}, {worker};
REVOKE SELECT ON
    app_user, api_token, session, oidc_identity, oidc_flow, sign_in_failure, sign_in_step, second_factor, recovery_code,
    saved_view
    FROM {worker};
GRANT SELECT (name, roles, scopes, marks, tells_sources, tells_types, created_at, barred_at, contact_id)
    ON app_user TO {worker};

-- The API: facts that are told, decisions that people sign, and what these do to money that is not sent.
GRANT INSERT ON
    account_change, api_token, app_user, audit_event, blocked_mark, clawback, clawback_case, decision, decision_effect,
    decision_head, erased_mark, fact, fact_key, fact_teller, ingest_batch, inquiry, ledger_transaction, notice, oidc_flow, oidc_identity, outbox,
    payment_instruction, payout, payout_cycle, payout_deduction, payout_leg, payout_step, person_erasure, personal_data, posting,
    program_life, program_version, provider_event, queue_entry, rail_halt, reconciliation, recovery_code, referral,
    referral_fact, referral_key, referral_step, register_restore, register_secret, restored_rail, saved_view,
    second_factor, session, set_aside, sign_in_failure, sign_in_step, source_cursor, source_event, source_name,
    source_payload, source_reading, to_examine, to_judge, to_measure
    TO {api};
GRANT DELETE ON
    blocked_mark, oidc_flow, payout_leg, queue_entry, rail_halt, recovery_code, register_secret,
    saved_view, session, sign_in_failure, sign_in_step
    TO {api};
GRANT UPDATE (confirmed_by, confirmed_at) ON account_change TO {api};
GRANT UPDATE (revoked_at) ON api_token TO {api};
GRANT UPDATE (username, unlinked_at) ON oidc_identity TO {api};
GRANT UPDATE (
    roles, marks, tells_sources, tells_types, reads_programs, barred_at, password_hash, contact_id
) ON app_user TO {api};
GRANT UPDATE (recovered_minor, released_minor, missed_at, provider_reference, state, why, updated_at)
    ON clawback TO {api};
GRANT UPDATE (state, settled_at) ON clawback_case TO {api};
GRANT UPDATE (seq, hash, key_id, signature) ON decision_head TO {api};
GRANT UPDATE (assigned_to, disowned_at, decision_id) ON forgotten_payment TO {api};
GRANT UPDATE (name, finished_at) ON ingest_batch TO {api};
GRANT UPDATE (state, bound_to) ON leg TO {api};
GRANT UPDATE (batch_id) ON outbox TO {api};
GRANT UPDATE (
    payee, rail, amount_minor, currency, body, body_hash, generation, provider_key, first_sent_at, provider_reference,
    state, why, updated_at, key_used_at, missed_at, settled_at, due_at, dropped
) ON payout TO {api};
-- It locks a cycle and changes nothing of it. Who locks a row must be allowed to change some column.
GRANT UPDATE (updated_at) ON payout_cycle TO {api};
GRANT UPDATE (amount_minor, live) ON payout_deduction TO {api};
GRANT UPDATE (live) ON payout_leg TO {api};
GRANT UPDATE (waits, tried_at, erased_at, texts_blanked, payloads_blanked) ON person_erasure TO {api};
GRANT UPDATE (sealed, erased_at) ON personal_data TO {api};
GRANT UPDATE (told, due_at) ON program_life TO {api};
GRANT UPDATE (payout_id) ON provider_event TO {api};
GRANT UPDATE (
    program, status, reason, about, referrer, customer, order_id, recommendation, flags, routes, amount_minor, currency,
    since, remind_at, escalate_at
) ON queue_entry TO {api};
GRANT UPDATE (probed_at, why) ON rail_halt TO {api};
GRANT UPDATE (
    origin_rank, began_at, origin_source, origin_event, program, referrer, referrer_code, code_key, channel, parked,
    merged_into, facts_version, told_at, judged_version, judged_at, version, round, status, reason, deadline, wake_at,
    claimed_at, order_id, stores, conversion_at, net_minor, currency, claim_id, claim_version, settled_rivals,
    rivals_seen, closed_at, closed_version, late_facts, answered_version, doubts, rewarded_at, moved_to, acts,
    referrer_link, referee_link, waiting_since
) ON referral TO {api};
GRANT UPDATE (fingerprint, noted_at) ON register_secret TO {api};
GRANT UPDATE (restore, restored_to, halted_at, why, reopened_at, reopened_by) ON restored_rail TO {api};
GRANT UPDATE (query) ON saved_view TO {api};
GRANT UPDATE (sealed, erased_at) ON source_payload TO {api};
GRANT UPDATE (used_at) ON recovery_code TO {api};
GRANT UPDATE (enrolled_at, last_step, offered, reset_at, reset_by, secret) ON second_factor TO {api};
GRANT UPDATE (seen_at, factor, factor_at) ON session TO {api};
GRANT UPDATE (version, since_at, opened_at, place, problem, forgotten_since_at, forgotten_until_at)
    ON source_cursor TO {api};
GRANT UPDATE (awaits, facts, outcome, read_at, why) ON source_reading TO {api};

-- Workers: claims, payments and what follows from them. No decision, no person, no terms.
GRANT INSERT ON
    audit_event, clawback_case, decision_effect, erased_mark, examined_reward, examined_total, fact, fact_key, fact_teller,
    forgotten_payment, forgotten_reversal, handover, ingest_batch, inquiry, ledger_transaction, leg, listed_payment,
    measured_contribution, measured_total, notice, outbox, payout, payout_cycle, payout_deduction, payout_leg,
    payout_step, person_erasure, personal_data, posting, queue_entry, rail_connection, rail_halt, reconciliation,
    reconciliation_difference, referral, referral_fact, referral_key, referral_step, register_restore, register_secret,
    restored_rail, reversal_look, reward_claim, source_cursor, source_event, source_name, source_payload,
    source_reading, swept, to_examine, to_judge, to_measure, webhook_endpoint
    TO {worker};
GRANT DELETE ON
    examined_reward, listed_payment, measured_contribution, outbox, payout_leg, queue_entry, rail_halt, swept,
    to_examine, to_judge, to_measure, webhook_endpoint
    TO {worker};
GRANT UPDATE (recovered_minor, first_sent_at, missed_at, provider_reference, state, why, updated_at)
    ON clawback TO {worker};
GRANT UPDATE (
    why, state, proposed_minor, settled_at, exchange_order, exchange_store, exchange_minor, exchange_currency
) ON clawback_case TO {worker};
GRANT UPDATE (paid, accurate, by_decision, marks_removed) ON examined_total TO {worker};
GRANT UPDATE (amount_minor, payee, state) ON forgotten_payment TO {worker};
GRANT UPDATE (adopted_minor) ON forgotten_reversal TO {worker};
GRANT UPDATE (name, finished_at) ON ingest_batch TO {worker};
GRANT UPDATE (state, bound_to, former) ON leg TO {worker};
GRANT UPDATE (payout_id, names, amount_minor, state, reversed_minor) ON listed_payment TO {worker};
GRANT UPDATE (n, amount) ON measured_total TO {worker};
GRANT UPDATE (state, why, attempts, due_at, settled_at) ON notice TO {worker};
GRANT UPDATE (batch_id) ON outbox TO {worker};
GRANT UPDATE (
    payee, rail, amount_minor, currency, body, body_hash, generation, provider_key, first_sent_at, provider_reference,
    state, why, updated_at, key_used_at, missed_at, settled_at, due_at, dropped
) ON payout TO {worker};
GRANT UPDATE (state, cursor, digest, turn, summary, frozen_at, done_at, updated_at) ON payout_cycle TO {worker};
GRANT UPDATE (amount_minor, live) ON payout_deduction TO {worker};
GRANT UPDATE (live) ON payout_leg TO {worker};
GRANT UPDATE (
    names, waits, tried_at, erased_at, texts_blanked, payloads_blanked, kept_at, marks_looked_at, marks_due_at,
    marks_stay, marks_removed_at, facts_without_marks
) ON person_erasure TO {worker};
-- What is left of marks whose retention is over; triggers refuse any other change.
GRANT UPDATE (seal, removed_at, paid_days, unpaid_days) ON erased_mark TO {worker};
GRANT UPDATE (marks) ON fact TO {worker};
GRANT UPDATE (key) ON fact_key TO {worker};
GRANT UPDATE (key) ON referral_key TO {worker};
GRANT UPDATE (sealed, erased_at) ON personal_data TO {worker};
GRANT UPDATE (sealed, erased_at) ON source_payload TO {worker};
GRANT UPDATE (due_at) ON program_life TO {worker};
GRANT UPDATE (
    program, status, reason, about, referrer, customer, order_id, recommendation, flags, routes, amount_minor, currency,
    since, remind_at, escalate_at
) ON queue_entry TO {worker};
GRANT UPDATE (mode, seen_at) ON rail_connection TO {worker};
GRANT UPDATE (probed_at, why) ON rail_halt TO {worker};
GRANT UPDATE (state, sight, why, ours, theirs, differences, under_way, ended_at) ON reconciliation TO {worker};
GRANT UPDATE (
    origin_rank, began_at, origin_source, origin_event, program, referrer, referrer_code, code_key, channel, parked,
    merged_into, facts_version, told_at, judged_version, judged_at, version, round, status, reason, deadline, wake_at,
    claimed_at, order_id, stores, conversion_at, net_minor, currency, claim_id, claim_version, settled_rivals,
    rivals_seen, closed_at, closed_version, late_facts, answered_version, doubts, rewarded_at, moved_to, acts,
    referrer_link, referee_link, waiting_since
) ON referral TO {worker};
GRANT UPDATE (fingerprint, noted_at) ON register_secret TO {worker};
GRANT UPDATE (restore, restored_to, halted_at, why, reopened_at, reopened_by) ON restored_rail TO {worker};
GRANT UPDATE (asked_at) ON reversal_look TO {worker};
GRANT UPDATE (
    version, since_at, opened_at, place, succeeded_at, problem, events_new, events_known, forgotten_since_at,
    forgotten_until_at
) ON source_cursor TO {worker};
GRANT UPDATE (awaits, facts, outcome, read_at, why) ON source_reading TO {worker};
GRANT UPDATE (times, until) ON swept TO {worker};
-- Workers lock these and change none.
GRANT UPDATE (id) ON to_examine TO {worker};
GRANT UPDATE (events, told_up_to, tries, due_at) ON webhook_endpoint TO {worker};
