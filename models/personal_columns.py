"""Every column that holds text, a document or bytes, and what keeps personal data in it from being read.

A test derives the columns from the schema: a new one is listed here, or the test fails. Whoever adds one decides first
what may stand in it. Instants, amounts, numbers, flags and ids of ours are none of these.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Protection(StrEnum):
    """What keeps personal data in a column from being read."""

    #: It holds personal data, sealed (`referral_rewards.personal`, `register.sealing`).
    SEALED = "sealed"
    #: It holds a keyed hash or a hash of what nobody can guess.
    HASHED = "hashed"
    #: It is about the company's own people: their names here, and what they wrote where no person is to be named.
    STAFF = "staff"
    #: It holds ids and names of outside, refused where they look like an address or a number (`domain.facts.ids`), and
    #: public fields of facts.
    OPAQUE = "opaque"
    #: It holds words, numbers and documents that this system makes.
    OURS = "ours"


def _columns(lines: str) -> Mapping[str, frozenset[str]]:
    tables = (line.split(": ") for line in lines.strip().splitlines())
    return {table: frozenset(columns.split()) for table, columns in tables}


#: The columns of each table, by what protects them.
COLUMNS: Final[Mapping[Protection, Mapping[str, frozenset[str]]]] = {
    Protection.SEALED: _columns("""
personal_data: sealed
second_factor: secret offered
source_payload: sealed
"""),
    Protection.HASHED: _columns("""
api_token: token_hash
app_user: marks password_hash
blocked_mark: mark
erased_mark: seal
fact: marks content_mac digest
fact_key: key
ingest_batch: name
oidc_flow: state_hash
personal_data: commitment
recovery_code: code_hash
referral_key: key
session: token_hash
sign_in_failure: key
sign_in_step: token_hash
"""),
    Protection.STAFF: _columns("""
account_change: username changed_by confirmed_by
api_token: username label
app_user: name
audit_event: actor subject details
blocked_mark: why blocked_by
decision: username
fact_teller: username
oidc_identity: issuer subject username
payment_instruction: exported_by
person_erasure: asked_by
program_version: published_by source
reconciliation: asked_by
recovery_code: username
register_restore: found_by lost
saved_view: username name query
second_factor: username reset_by
session: username
set_aside: username
sign_in_step: username
"""),
    Protection.OPAQUE: _columns("""
clawback: referral_id payee
clawback_case: referral_id exchange_order
decision: referral_id
examined_reward: referral_id referrer
fact: source event_id data
forgotten_payment: payee reference destination
held_total: referrer
inquiry: referral_id subject
ledger_transaction: referral_id key
leg: referral_id referrer order_key beneficiary destination bound_to
listed_payment: reference destination key
measured_contribution: referral_id
notice: referral_id recipient occasion
outbox: target
payment_instruction: payee destination key
payout: referral_id payee body provider_reference
person_erasure: names waits marks_stay
posting: account
queue_entry: referral_id subject referrer customer order_id
referral: id origin_source origin_event referrer referrer_code code_key moved_to acts order_id
reward_claim: referral_id body referrer
source_cursor: place
source_event: event_id
source_name: name order_id
source_reading: awaits facts
"""),
    Protection.OURS: _columns("""
account_change: act
api_token: scopes tells_sources tells_types
app_user: roles scopes tells_sources tells_types reads_programs
audit_event: act
clawback: kind currency body body_hash provider_key provider_reference state why
clawback_case: why state exchange_store exchange_currency
decision: digest kind roles reason note_commitment details previous_hash hash key_id signature
decision_effect: effect why
decision_head: hash key_id signature
examined_reward: program role failing findings
examined_total: program
fact: type
fact_teller: sources types
forgotten_payment: rail currency state
forgotten_reversal: rail reference currency
handover: paid_as kind reference
held_total: program
inquiry: moment source answer sentence content_hash ours theirs
ledger_transaction: description program
leg: digest program stores role kind currency rail state decisions
listed_payment: currency state
measured_contribution: program figure part currency
measured_total: program figure part currency
notice: program template audience channel state why
oidc_flow: nonce code_verifier return_to
outbox: kind program trace
payment_instruction: currency program
payout: rail currency body_hash provider_key state why
payout_cycle: program currency state cursor digest summary
payout_deduction: kind source
payout_step: act state why reference sight
posting: currency
program_life: program
program_version: program terms
provider_event: source event_id kind object_id digest
queue_entry: exception program status reason about recommendation flags routes currency
rail_connection: rail mode
rail_halt: rail why
reconciliation: rail state sight why
reconciliation_difference: kind reference ours theirs
referral: program channel parked merged_into status reason stores currency settled_rivals rivals_seen doubts
referral_fact: referral_id
referral_key: referral_id
referral_step: referral_id status reason
register_secret: name fingerprint
restored_rail: rail why
reward_claim: digest core_digest sight
session: roles factor
set_aside: referral_id exception subject
source_cursor: source problem
source_event: source type
source_name: source store
source_reading: source outcome why
swept: referral_id
to_examine: referral_id
to_judge: referral_id
to_measure: referral_id
webhook_endpoint: name events told_up_to
"""),
}
