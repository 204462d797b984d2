//! What one request can cost, measured against the table of `SECURITY.md`.

use pullgate_tests::amplify::TABLE;

#[tokio::test]
async fn a615_no_request_costs_its_upstream_or_the_disk_more_than_the_table_says() {
    for row in TABLE {
        let cost = row.measure().await;
        assert_eq!(cost.requests, row.requests, "{} {}: {cost:?}", row.party, row.what);
        assert!(cost.bytes <= row.bytes && cost.disk <= row.disk, "{} {}: {cost:?}", row.party, row.what);
    }
}
