"""`python -m worker --role referrals|payouts|all`: one process of a cluster's, or of the local stack's, workers."""

from referral_rewards import interrupts

if __name__ == "__main__":
    # Loading takes seconds: whoever interrupts it meanwhile ends it at once, without a traceback.
    interrupts.end_at_once()

    from worker.process import end, main

    end(main())
