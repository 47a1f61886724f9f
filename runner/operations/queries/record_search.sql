-- Records that contain a text in their payload, id, kind, severity, bot, session, trace or actor, in any letter case;
-- newest first.
-- Parameters: text STRING, limit INT64
SELECT id, ts, kind, severity, bot, data
FROM records
WHERE
  STRPOS(LOWER(TO_JSON_STRING(data)), LOWER(@text)) > 0
  OR STRPOS(LOWER(id), LOWER(@text)) > 0
  OR STRPOS(LOWER(kind), LOWER(@text)) > 0
  OR STRPOS(LOWER(severity), LOWER(@text)) > 0
  OR STRPOS(LOWER(bot), LOWER(@text)) > 0
  OR STRPOS(LOWER(bot_type), LOWER(@text)) > 0
  OR STRPOS(LOWER(session_id), LOWER(@text)) > 0
  OR STRPOS(LOWER(trace), LOWER(@text)) > 0
  OR STRPOS(LOWER(actor), LOWER(@text)) > 0
ORDER BY ts DESC, id DESC
LIMIT @limit
