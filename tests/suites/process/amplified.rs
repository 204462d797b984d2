//! What one request can cost, measured against the table of `SECURITY.md`.

use pullgate_tests::amplify::TABLE;

#[tokio::test]
async fn a615_no_request_costs_more_than_the_table_says() {
    for row in TABLE {
        let cost = row.measure().await;
        assert_eq!(row.over(&cost), [""; 0], "{} {}: {cost:?}", row.party, row.what);
    }
}
