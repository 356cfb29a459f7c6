"""Tasks of a Celery worker, whose queue is files in the folder $QUEUE.

Each says where it runs: a file of its name there, with the process's id. One ends when the file `go` there is gone,
the other when something is written to `upload`. Run as a program this queues one of each.
"""
import os

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
    path = os.path.join(FOLDER, "upload")
    os.mkfifo(path)
    upload = os.open(path, os.O_RDWR)  # so that it need not wait for another to open it
    tell("wait_for_upload")
    os.read(upload, 1)


if __name__ == "__main__":
    thumbnail.delay()
    wait_for_upload.delay()
