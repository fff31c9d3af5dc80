-- User profiles: what is known of users beside their events. See docs/guide/operation.md.
CREATE TABLE profiles (
    user_id text PRIMARY KEY,
    updated_at timestamptz NOT NULL DEFAULT now(),
    user_country text,
    plan text
);
CREATE INDEX profiles_updated_at ON profiles (updated_at);
