"""The worker, without a process of its own: does what waits, one job after the other."""

from lookalike.web.models import Job


def work_off():
    """Do all jobs that wait; return them as they ended, the first first."""
    from lookalike.web.worker import run_job

    done = []
    while (job := Job.take("test")) is not None:
        run_job(job)
        job.refresh_from_db()
        done.append(job)
    return done
