"""The prediction log: what was asked of the models and what they answered, in Parquet.

In a worker, `recorder` takes a record of each sampled request, and `records` packs some hundreds of them
into a frame of columns; `journal` writes frames durably to write-ahead segments, many with one fsync. In a
process of its own, `roller` has `rolling` turn finished segments (those that nobody holds a lock on, also
after a kill) into Parquet files by way of `tables`, brings them to a place of `places`, and removes what is
too old. Only that process loads pyarrow. `frames` is what both agree on.

The files lie at PLACE/SERVICE/MODEL/date=YYYY-MM-DD/hour=HH/predictions-*.parquet, by the UTC hour in which
a request was answered. One row is one request that reached a loaded model:

    request_id    string       what the answer's X-Request-Id says
    client_id     string       the request's own `id`; null where it had none
    timestamp     timestamp    when it was answered, microseconds, UTC
    model         string
    version       string
    arm           string       that was chosen by a route; null where there is none
    outcome       string       ok, refused, failed, shed, timeout, disconnected: as bedplate_requests_total has it
    status        int16        the HTTP status; 499 for a client that went away
    latency_s     double       seconds from the request's head to its answer
    omitted       bool         the tensors were too large to be kept
    inputs        struct       for each tensor of the signature: struct<shape: list<int64>, data: list<T>>
    outputs       struct       the same; null unless the outcome is ok

`data` is flat, in row order. T is the tensor's own type, but float for FP16 (which loses nothing) and string
for BYTES. A tensor that was not asked for is null. A file holds one version of one model, so that the types
are the same within it; `reading.dataset` reads across versions.
"""
