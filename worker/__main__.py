"""`python -m worker --role referrals|payouts|all`: one worker process, in a cluster or in the local stack."""

import signal

if __name__ == "__main__":
    # Imports take seconds. An interrupt meanwhile ends the process at once, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from worker.process import end, main

    end(main())
