"""Every noun of rooms, messages, calls, files and delivery, and the test that is named after it.

A new noun: one `Feature` here and a test of its name in tests/features, which shows what is
allowed, what is refused, and what a device finds that was offline. docs/features.md is made of it.
Long because it is one table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """`can`: what a person can do; `back`: what a device finds that was offline at the time."""

    noun: str
    can: str
    back: str

    @property
    def test(self) -> str:
        return "test_" + re.sub(r"[^a-z0-9]+", "_", self.noun.lower()).strip("_")


ROOMS = (
    Feature(
        "Direct room",
        "Talk to one other person; a pair has one such room and nobody else gets in.",
        "finds the room and what was said in it",
    ),
    Feature(
        "Group room",
        "Talk in a room with a name, whose members its owner and moderators choose.",
        "finds the messages, the new name and the new member",
    ),
    Feature(
        "Private room",
        "Talk in a room that nobody but its members can find or know of.",
        "finds the messages and who came",
    ),
    Feature(
        "Public room",
        "Find a room in the list and join it, where its owner lets everybody in.",
        "finds who joined and what they said",
    ),
    Feature(
        "Announcement room",
        "Read what owners and moderators post; others cannot post there.",
        "finds the announcement; what a member wrote on it is undone",
    ),
    Feature(
        "Owner",
        "Own a room, hand it on and leave it; a room with members keeps an owner.",
        "finds who owns the room now",
    ),
    Feature(
        "Moderators",
        "Keep order below one's own rank: delete messages, remove members.",
        "finds the new moderator and the message deleted",
    ),
    Feature(
        "Members",
        "See who is in a room, be added to it, and leave.",
        "finds who came and went",
    ),
    Feature(
        "Banned",
        "Ban somebody, who then neither reads, posts nor joins, until they are let back in.",
        "gets nothing more of a room that banned its person",
    ),
    Feature(
        "Invites with expiry and uses",
        "Make an invitation that ends by time or by number of uses, or withdraw it.",
        "finds who came with it",
    ),
    Feature(
        "Join requests",
        "Ask to be let in; a moderator reads the request and answers it.",
        "finds who was let in",
    ),
)

MESSAGES = (
    Feature(
        "Posts with an envelope and a body",
        "Say something, with type, mentions and custom fields that programs may read.",
        "finds the message with its envelope",
    ),
    Feature("Replies", "Answer a message by quoting it.", "finds the answer and what it quotes"),
    Feature(
        "Threads",
        "Answer aside: replies hang on a message and are counted and read there.",
        "finds how many replies a message has, and whose",
    ),
    Feature(
        "Edits with history",
        "Correct one's own message; what it said before can be read.",
        "finds the new words and the old",
    ),
    Feature(
        "Delete for me",
        "Take a message out of one's own view; the others keep it.",
        "hides it too",
    ),
    Feature(
        "Delete for everyone",
        "Delete one's own message, or as a moderator anybody's; nothing of it is shown to anybody.",
        "loses what it had of the message",
    ),
    Feature(
        "Reactions",
        "React with an emoji, once each, and take it back.",
        "finds who reacted with what",
    ),
    Feature("Pins", "Pin messages of a room, and unpin them.", "finds what is pinned now"),
    Feature(
        "Mentions",
        "Name somebody in a message, or as a moderator everybody; it is counted for them.",
        "finds that its person was named",
    ),
    Feature(
        "Per-message expiry",
        "Send a message that is gone for everybody after a time.",
        "loses what it had of the message",
    ),
    Feature(
        "Forwarding",
        "Pass a message on to another room of one's own; it says where it came from.",
        "finds the message, its first room and its author",
    ),
    Feature(
        "Polls",
        "Ask a question with options, vote, change one's mind, and close it.",
        "finds the votes and that it is closed",
    ),
    Feature(
        "Voice messages",
        "Send what one says, with its length and a waveform.",
        "finds it with its waveform, and plays it",
    ),
    Feature(
        "Custom data",
        "Keep fields of an application with rooms, messages and one's own account.",
        "finds the fields of all three",
    ),
    Feature(
        "Silent posts",
        "Say something that counts as read and rings nobody.",
        "finds the message, with nothing unread",
    ),
    Feature(
        "Scheduled posts",
        "Write now what is to be posted later; see it waiting and cancel it.",
        "finds what was posted at its time",
    ),
)

OWN = (
    Feature(
        "Drafts across devices",
        "Begin a message on one device and finish it on another.",
        "finds the draft; what it wrote meanwhile is on the others",
    ),
    Feature(
        "Saved messages",
        "Keep a message to find again, with a note.",
        "finds what was saved and given up",
    ),
    Feature(
        "Read receipts",
        "See who has read up to where; each person shows it or not, and then sees none.",
        "asks, and is told how far the others are",
    ),
    Feature(
        "Delivered receipts",
        "See whose device has got a message; each person shows it or not.",
        "asks, and is told how far the others are",
    ),
    Feature(
        "Unread counts",
        "See what is unread by room and thread, counted by the server, and always able to be zero.",
        "counts what the other devices have not read, and no more",
    ),
    Feature(
        "Typing",
        "See who is writing, if they show it.",
        "is not told of what is over",
    ),
    Feature(
        "Presence with privacy",
        "See who is there, by their devices and by what they say; each shows it to all, to contacts"
        " or to nobody, and nobody who runs the server sees more.",
        "follows again, and is told how everybody is",
    ),
    Feature(
        "Custom status",
        "Say what one is doing, with an emoji and an end.",
        "asks, and is told what holds now",
    ),
    Feature(
        "Block",
        "Block somebody: nothing of theirs counts, rings or opens a direct room.",
        "finds whom its person blocked",
    ),
    Feature(
        "Report and moderators' queue",
        "Report a message; moderators find the report in a queue and say what they did.",
        "finds the report in the queue",
    ),
)

CALLS = (
    Feature(
        "Call",
        "Begin a room's call, with or without video; a direct room rings the other.",
        "finds the call that rings",
    ),
    Feature("Ring", "Ring some members of a room, or all.", "finds that its person is rung"),
    Feature(
        "Accept",
        "Answer a ring and join.",
        "may still answer while it rings",
    ),
    Feature("Reject", "Answer a ring with no, which ends it.", "finds the call rejected"),
    Feature(
        "Reject by plain HTTP",
        "Say no without a session, by what the ring brought.",
        "finds the call rejected",
    ),
    Feature(
        "Busy",
        "Be left alone while in another call, or say so on a device.",
        "finds that a call was missed, and was not rung",
    ),
    Feature("Cancel", "Stop ringing.", "finds the call cancelled, and nothing that rings"),
    Feature(
        "Timeout",
        "Let it ring until it ends by itself.",
        "finds the call missed",
    ),
    Feature(
        "Answered elsewhere",
        "Answer on one device: the others stop ringing and cannot answer.",
        "finds the call answered, and does not ring",
    ),
    Feature(
        "Call history",
        "Look through one's calls, the newest first, and those that go on.",
        "finds the calls that it did not hear",
    ),
    Feature(
        "Lobby",
        "Wait until a moderator lets one in, or not; moderators see who waits.",
        "joins, once it was let in",
    ),
    Feature(
        "Call messages",
        "Read in the room when a call started, ended or was missed, and who was in it.",
        "finds how each call ended and who was in it",
    ),
)

FILES = (
    Feature(
        "Create",
        "Begin a file in a room that takes files.",
        "finds the message and opens the file by its key",
    ),
    Feature(
        "Resumable upload (tus 1.0)",
        "Send a file in pieces, from where it stopped, with checksums.",
        "goes on with its own upload where it was",
    ),
    Feature(
        "Complete",
        "Have a file checked when all of it is there, and then post it.",
        "finds the message and opens the file",
    ),
    Feature(
        "Content type by sniffing",
        "Send a file under any name: what it is decides what it is shown as.",
        "is given a picture as a picture, and a page as a download",
    ),
    Feature(
        "Size and quota",
        "See what one's files take, and may take; what is deleted is free again.",
        "opens what was sent within it",
    ),
    Feature(
        "Decompression and pixel bombs",
        "Be safe from files that grow when they are opened; honest archives pass.",
        "opens the honest archive",
    ),
    Feature(
        "Images re-encoded and stripped",
        "Send a picture without what the camera wrote and what was hidden in it.",
        "is given the picture and nothing else",
    ),
    Feature(
        "Video metadata stripped",
        "Send a film without where and by whom it was taken.",
        "is given the film and nothing else",
    ),
    Feature(
        "Location only by choice",
        "Say where a picture was taken, or not, which is the rule.",
        "finds the place only where the sender chose so",
    ),
    Feature(
        "Thumbnails and previews",
        "See a picture small before opening it.",
        "is given both sizes",
    ),
    Feature(
        "An origin of its own",
        "Open a file without its being able to act as a page of the server.",
        "is given the file with safe headers",
    ),
    Feature(
        "Files on disk",
        "Have files kept beside the store, and gone with the message that held them.",
        "opens the file",
    ),
    Feature(
        "Files in S3",
        "Have files kept in a bucket (versitygw here), and gone with their message.",
        "opens the file",
    ),
    Feature(
        "Encrypted chunks",
        "Have files sealed with a key that lies in the message alone.",
        "opens the file by the key in the message",
    ),
    Feature(
        "Virus scan by clamd",
        "Be safe from EICAR, packed or not; clean files pass.",
        "finds the clean file alone",
    ),
    Feature(
        "Virus scan by ICAP",
        "The same behind c-icap.",
        "finds the clean file alone",
    ),
    Feature(
        "Files of encrypted rooms",
        "Send what one's device sealed: the server does not look into it, nor name it.",
        "is given the very bytes",
    ),
)

PUSH = (
    Feature(
        "Web Push",
        "Be woken in a browser (VAPID), by ids and nothing that was said.",
        "is woken, comes back and finds the message",
    ),
    Feature(
        "UnifiedPush",
        "Be woken by a distributor of one's own choice.",
        "is woken, comes back and finds the message",
    ),
    Feature(
        "APNs",
        "Be woken on an iPhone (a stand-in that checks tokens and HTTP/2).",
        "is woken, comes back and finds the message",
    ),
    Feature(
        "FCM",
        "Be woken on Android (a stand-in that checks tokens).",
        "is woken, comes back and finds the message",
    ),
    Feature(
        "Content by room mode",
        "Read the beginning of a message in the notification, where room and recipient want it.",
        "is told as much as both allow, and finds the messages",
    ),
    Feature(
        "Never a body for e2ee and phi",
        "Be sure that nothing of encrypted rooms and of health data is in a notification.",
        "is told ids, and finds the messages",
    ),
    Feature(
        "Collapsing",
        "Be told once of a room, with the newest.",
        "is woken once and finds all messages",
    ),
    Feature(
        "Wake-only",
        "Be woken for a transient room without being told why.",
        "is woken; nobody kept what was said",
    ),
    Feature(
        "Quiet hours",
        "Sleep: messages wait until their end; calls ring if one wants them to.",
        "is told after the hours, and finds the message",
    ),
    Feature(
        "Ring with short life",
        "Be rung while asleep, for as long as it rings, and say no from there.",
        "is rung, told that it is over, and finds the call",
    ),
)

DELIVERY = (
    Feature(
        "Incoming webhooks",
        "Let a program post as a bot by an address that can be taken back.",
        "finds what the program posted",
    ),
    Feature(
        "Outgoing webhooks",
        "Have a program told, signed (Standard Webhooks, CloudEvents), in order, again if need be.",
        "what it wrote is told when it is back",
    ),
    Feature(
        "Webhook filters",
        "Choose by type, author and custom fields what a program is told.",
        "what it wrote is chosen alike when it is back",
    ),
    Feature(
        "Dead letters and replay",
        "Find what a receiver did not take for too long, and send it once more.",
        "what it wrote is among it",
    ),
    Feature(
        "Route to HTTPS",
        "Have all that happens sent to a system of one's own, in batches.",
        "what it wrote follows in order when it is back",
    ),
    Feature(
        "Route to S3",
        "The same, as objects in a bucket (versitygw here).",
        "what it wrote follows in order when it is back",
    ),
    Feature(
        "Route to AMQP",
        "The same, to a queue of RabbitMQ.",
        "what it wrote follows in order when it is back",
    ),
    Feature(
        "Route to SQS",
        "The same, to a FIFO queue (moto here).",
        "what it wrote follows in order when it is back",
    ),
    Feature(
        "Route to syslog",
        "The same, to rsyslog over TLS.",
        "what it wrote follows in order when it is back",
    ),
    Feature(
        "Route to Kafka",
        "The same, to a topic of a Kafka in KRaft mode.",
        "what it wrote follows in order when it is back",
    ),
    Feature(
        "Bots with scoped tokens",
        "Give a program an account whose tokens do only what they say, and take them back.",
        "finds what the bot posted",
    ),
    Feature(
        "SSRF guard",
        "Have no address called that is private, in any spelling.",
        "what it wrote is told to the address that is allowed",
    ),
    Feature(
        "egress.allow",
        "Open one port of one network in the configuration, and never by the API.",
        "what it wrote is told to the address that is allowed",
    ),
)

GROUPS: dict[str, tuple[Feature, ...]] = {
    "Rooms and the people in them": ROOMS,
    "Messages": MESSAGES,
    "One's own, and what others see of it": OWN,
    "Calls": CALLS,
    "Files": FILES,
    "Push": PUSH,
    "Webhooks, routes, bots": DELIVERY,
}


def every() -> list[Feature]:
    return [feature for group in GROUPS.values() for feature in group]


def named(test: str) -> Feature:
    """By the test's function."""
    (found,) = [one for one in every() if one.test == test]
    return found
