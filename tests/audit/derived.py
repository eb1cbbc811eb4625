"""Which columns a paid reward is derived from: all of the schema, but for those that are named here with the reason."""

from typing import Final

#: The rows that are flipped in each table: those of a settled payment, or of what was taken back of one.
ROWS: Final = {
    "clawback": "referral_id = 'r1'",
    "clawback_case": "referral_id = 'r1'",
    "decision": "referral_id = 'r2'",
    "decision_effect": "decision_id IN (SELECT id FROM decision WHERE referral_id = 'r2' AND kind = 'approve')",
    "decision_head": "true",
    "fact": "id IN (SELECT fact_id FROM referral_fact WHERE referral_id = 'r2')",
    "fact_key": "fact_id IN (SELECT fact_id FROM referral_fact WHERE referral_id = 'r2')",
    "fact_teller": "true",
    "inquiry": "referral_id = 'r2' AND moment = 'assembly'",  # those of other moments are asked for anew and prove less
    "ledger_transaction": "referral_id = 'r2'",
    "leg": "referral_id = 'r2'",
    "payment_instruction": "payout_id IN (SELECT id FROM payout WHERE referral_id = 'r2')",
    "payout": "referral_id = 'r2'",
    "payout_cycle": "true",
    "payout_deduction": "true",
    "payout_leg": "payout_id IN (SELECT id FROM payout WHERE referral_id = 'r2')",
    "payout_step": "payout_id IN (SELECT id FROM payout WHERE referral_id = 'r2' AND rail = 'manual')",
    "personal_data": "subject_id IN (SELECT fact_id FROM referral_fact WHERE referral_id = 'r2')"
    " OR subject_id IN (SELECT id FROM decision WHERE referral_id = 'r2')",
    "posting": "transaction_id IN (SELECT id FROM ledger_transaction WHERE referral_id = 'r2')",
    "program_version": "version = 2",
    "referral": "id = 'r2'",
    # Those about its referrer are an index: what they say is in the claim.
    "referral_fact": "referral_id = 'r2' AND fact_id IN (SELECT id FROM fact WHERE data->>'referral' = 'r2'"
    " OR type = 'conversion.recorded')",
    "reward_claim": "referral_id = 'r2'",
}

_SEEN: Final = (
    "it tells what was on record when the payment was sent, together with the dates, of which it can differ by minutes"
)
_WORDS: Final = "a sentence for people; what it tells stands in other columns"
_CLOCK: Final = "when the row was last touched; what happened then has a step or a posting of its own"
_REMADE: Final = (
    "a projection of the referral's facts for the next judgement; the reward is derived from the facts, and the claim"
    " cites them"
)

#: Columns on which no paid reward depends, each with the reason.
NOT_DERIVED_FROM: Final = {
    "clawback.missed_at": "when a look-up found nothing; a reversal that was made has its reference and its posting",
    "clawback.updated_at": _CLOCK,
    "clawback.why": _WORDS,
    "clawback_case.exchange_currency": "shown beside the case: what another conversion would be worth",
    "clawback_case.exchange_minor": "shown beside the case: what another conversion would be worth",
    "clawback_case.exchange_order": "shown beside the case: which other conversion would qualify",
    "clawback_case.exchange_store": "shown beside the case: of which store that order is",
    "clawback_case.proposed_minor": "what the rules propose to whoever decides; what was taken is what was signed",
    "clawback_case.why": _WORDS,
    "decision.position": _SEEN,
    "decision_effect.at": "when a decision was carried out; when it was made is signed",
    "decision_effect.why": _WORDS,
    "fact.batch_id": "with which file it came: that delays wake-ups and changes no verdict",
    "fact.content_mac": "tells a repeated fact from a contradicting one when it is told again",
    "fact.position": _SEEN,
    "inquiry.position": _SEEN,
    "inquiry.id": "a number; the claim cites the answer by its hash",
    "inquiry.content_hash": "an answer that told no fact has none; where it told one, the fact has its own digest",
    "inquiry.sentence": _WORDS,
    "inquiry.subject": "about whom or what it was asked, in the source's terms; the answer is cited by its hash",
    "ledger_transaction.position": _SEEN,
    "payment_instruction.exported_by": "who exported it; that moves nothing, and the word on it is signed",
    "payout.created_at": "when it was planned; its history says so, too",
    "payout.due_at": "when its workflow looks at it again",
    "payout.missed_at": "when a look-up found nothing; a payment that settled was found",
    "payout.updated_at": _CLOCK,
    "payout.why": _WORDS,
    "payout_cycle.cursor": "how far gathering or releasing came",
    "payout_cycle.done_at": _CLOCK,
    "payout_cycle.frozen_at": "when its list was frozen; the digest of the list is signed",
    "payout_cycle.minimum_minor": "which rewards it carried forward; it changes no reward that was paid",
    "payout_cycle.currency": "that of the minimum",
    "payout_cycle.opened_at": _CLOCK,
    "payout_cycle.state": "a projection of the signed decisions on it",
    "payout_cycle.summary": "counts for the page of the cycle",
    "payout_cycle.turn": "a projection: the number of decisions on it that were carried out",
    "payout_cycle.updated_at": _CLOCK,
    "payout_cycle.version": "of the terms that set its day; each reward has its own terms",
    "payout_step.position": _SEEN,
    "payout_step.sight": _SEEN,
    "payout_step.why": _WORDS,
    "posting.id": "a number; it tells in which order rewards were approved, and the lines of an entry are a set",
    "referral.acts": "what its attribution was moved by; a projection of signed decisions, read there",
    "referral.answered_version": _REMADE,
    "referral.began_at": _REMADE,
    "referral.channel": _REMADE,
    "referral.claim_version": _REMADE,
    "referral.claimed_at": _REMADE,
    "referral.closed_at": _REMADE,
    "referral.closed_version": _REMADE,
    "referral.code_key": _REMADE,
    "referral.conversion_at": _REMADE,
    "referral.currency": _REMADE,
    "referral.deadline": _REMADE,
    "referral.doubts": _REMADE,
    "referral.facts_version": "counts what it heard of; a claim that knew more than that is found",
    "referral.judged_at": _REMADE,
    "referral.judged_version": _REMADE,
    "referral.late_facts": _REMADE,
    "referral.merged_into": _REMADE,
    "referral.net_minor": _REMADE,
    "referral.origin_event": _REMADE,
    "referral.origin_rank": _REMADE,
    "referral.origin_source": _REMADE,
    "referral.parked": _REMADE,
    "referral.reason": _REMADE,
    "referral.referee_link": "the generation of a link that shows and changes nothing",
    "referral.referrer_code": _REMADE,
    "referral.referrer_link": "the generation of a link that shows and changes nothing",
    "referral.rewarded_at": "a projection: the settled payment has its own time",
    "referral.rivals_seen": _REMADE,
    "referral.settled_rivals": "read only where a claim was disputed, and then a digest covers it",
    "referral.told_at": _REMADE,
    "referral.waiting_since": _REMADE,
    "referral.wake_at": _REMADE,
    "referral_fact.version": "in which order facts came, by which a claim is judged again; the claim cites facts by id",
    "reward_claim.position": _SEEN,
}

_PROJECTION: Final = "a projection: it is made again from what the audit reads"
_PENDING: Final = "work that is still to be done"
_ACCESS: Final = "who may sign in; what somebody could do when they decided is signed with the decision"
_BESIDE: Final = "what passes beside a payment; the payment's own history has its receipt"

_AS_TOLD: Final = "events as a vendor sent them; the facts that were made of them have digests of their own"

#: Tables on which no paid reward depends, each with the reason.
TABLES_NOT_DERIVED_FROM: Final = {
    "api_token": _ACCESS,
    "app_user": _ACCESS,
    "audit_event": "the log of acts; only the publishing of terms is looked up in it, and flipped there it is missing",
    "blocked_mark": "the blocklist of today; what it made of a claim stands in the claim, signed",
    "examined_reward": _PROJECTION,
    "examined_total": _PROJECTION,
    "to_examine": _PENDING,
    "forgotten_payment": "payments that a restored register lacks; each is before a person until it is assigned",
    "forgotten_reversal": "what a rail took back and nobody ordered; a clawback that adopts it has its own record",
    "handover": "the link or code that a payee was handed; what was paid is in the request",
    "held_total": _PROJECTION,
    "ingest_batch": "which file facts came with",
    "listed_payment": "what a rail listed, kept until it is compared",
    "measured_contribution": _PROJECTION,
    "measured_total": _PROJECTION,
    "notice": "letters to people",
    "oidc_flow": _ACCESS,
    "oidc_identity": _ACCESS,
    "outbox": _PENDING,
    "program_life": "when acts on a program are due; the acts are signed decisions",
    "provider_event": _BESIDE,
    "queue_entry": _PROJECTION,
    "rail_connection": "which rails workers have now",
    "rail_halt": "which rails are halted now",
    "reconciliation": "comparisons that people asked for; a difference is before a person",
    "reconciliation_difference": "comparisons that people asked for; a difference is before a person",
    "referral_key": "which facts a referral is told of; the second reading finds facts by what they say",
    "referral_step": "the referral's way through its statuses; no status is believed",
    "recovery_code": _ACCESS,
    "register_restore": "restores of the register",
    "register_secret": "the fingerprints of secrets, compared when a process starts",
    "restored_rail": "which rails are halted after a restore",
    "reversal_look": "when a rail was last asked",
    "saved_view": "searches that people saved",
    "second_factor": _ACCESS,
    "session": _ACCESS,
    "set_aside": "what somebody said of an exception in the queue; it approves nothing",
    "sign_in_failure": _ACCESS,
    "sign_in_step": _ACCESS,
    "source_event": _AS_TOLD,
    "source_name": _AS_TOLD,
    "source_payload": _AS_TOLD,
    "source_reading": _AS_TOLD,
    "swept": _PENDING,
    "to_judge": _PENDING,
    "to_measure": _PENDING,
    "webhook_endpoint": "where events are told",
}
