def handle(event, context):
    """Answers with what it was sent. `event.body` is bytes."""
    return {"statusCode": 200, "body": event.body.decode()}
