"""Import of rooms and messages: exports of another Sotto, of Slack, of Mattermost."""
