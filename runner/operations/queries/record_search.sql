-- Records that contain a text in their payload, id, kind, severity, bot, session, trace or actor, in any letter case;
-- newest first.
-- Parameters: text STRING, limit INT64
SELECT id, ts, kind, severity, bot, data
FROM records
WHERE STRPOS(
  LOWER(CONCAT(
    id, ' ', COALESCE(kind, ''), ' ', COALESCE(severity, ''), ' ', COALESCE(bot, ''), ' ', COALESCE(bot_type, ''), ' ',
    COALESCE(session_id, ''), ' ', COALESCE(trace, ''), ' ', COALESCE(actor, ''), ' ',
    COALESCE(TO_JSON_STRING(data), '')
  )),
  LOWER(@text)
) > 0
ORDER BY ts DESC, id DESC
LIMIT @limit
