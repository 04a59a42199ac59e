"""The leaderboard: published, local and imported results, ranked within one data set and never across two."""
