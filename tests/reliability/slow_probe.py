"""A probe for the workers of a cluster, which import this file by its name."""

import time

from audiotl.probes import Ridge


class SlowRidge(Ridge):
    """Ridge that takes its time, so that a worker can be killed while it works."""

    def fold(self, *arguments):
        time.sleep(0.1)
        return super().fold(*arguments)
