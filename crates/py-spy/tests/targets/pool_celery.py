"""Tasks of a Celery worker, whose queue is files in the folder $QUEUE.

Each says where it runs: a file of its name there, with the process's id. They end when the file `go` there is gone. Run as a
program this queues one of each.
"""
import os
import time

from celery import Celery

FOLDER = os.environ["QUEUE"]
GO = os.path.join(FOLDER, "go")
app = Celery("pool_celery", broker="filesystem://")
app.conf.update(
    broker_transport_options={"data_folder_in": FOLDER, "data_folder_out": FOLDER, "control_folder": FOLDER},
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)


def tell(name):
    path = os.path.join(FOLDER, name)
    with open(path + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(path + ".new", path)


@app.task(name="thumbnail")
def thumbnail():
    tell("thumbnail")
    while os.path.exists(GO):
        sum(number * number for number in range(100000))


@app.task(name="wait_for_upload")
def wait_for_upload():
    tell("wait_for_upload")
    while os.path.exists(GO):
        time.sleep(3)


if __name__ == "__main__":
    thumbnail.delay()
    wait_for_upload.delay()
