"""`python -m worker --role referrals|payouts|all`: one process of a cluster's, or of the local stack's, workers."""

import signal

if __name__ == "__main__":
    # Loading takes seconds: whoever interrupts it meanwhile ends it at once, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from worker.process import end, main

    end(main())
