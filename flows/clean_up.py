"""Flow `clean_up`: deletes what retrainings left that is older than `retention` in params.yaml."""

from prefect import flow, get_run_logger, task

from flows.retries import RETRY_POLICY


@task(**RETRY_POLICY)
def delete_old() -> list[str]:
    """Delete it; returns a sentence for each thing that was done."""
    from unmask.config.params import load_params
    from unmask.project import project_root
    from unmask.retraining import retention

    root, done = project_root(), []
    for sentence in retention.clean_up(root, load_params(root / "params.yaml").retention):
        get_run_logger().info(sentence)
        done.append(sentence)
    return done


@flow(name="clean_up", log_prints=True)
def clean_up() -> list[str]:
    """Delete versions, runs, branches and data that `retention` does not keep.

    Returns:
        A sentence for each thing that was done.
    """
    return delete_old()


if __name__ == "__main__":
    clean_up()
