"""`python -m worker --role referrals|payouts|all`: one worker process, in a cluster or in the local stack."""

from referral_rewards import interrupts

if __name__ == "__main__":
    # Imports take seconds. An interrupt meanwhile ends the process at once, without a traceback.
    interrupts.end_at_once()

    from worker.process import end, main

    end(main())
