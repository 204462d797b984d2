//! The use of every bounded resource, in one place: memory, processors, slots, the disk. Each is bounded by a named
//! limit, shared by a rule of its own, and shown in `pullgate_room_used` and `pullgate_room_limit`.

use crate::limits;

use super::handles::Handles;
use crate::metrics::Room;
use crate::store::limits::BLOBS_MEMORY_BYTES;

impl Handles {
    /// Every room of a gate, and how full it is.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        let (busy, threads) = self.compute_pool.busy();
        let (verdicts, questions) = self.slots.fullest();
        let (permitted, unproven) = self.store.store().documents().fill();
        let (blobs, database) = (self.store.blobs().fill(), self.store.store().database().fill());
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let room = |name, used, limit| Room { name, used, limit };
        vec![
            room("memory_verdicts", self.evidence_budget.held(), limits::IN_FLIGHT_BYTES),
            room(
                "memory_verdicts_of_upstream",
                self.evidence_budget.held_by_fullest(),
                limits::IN_FLIGHT_BYTES_OF_ONE,
            ),
            room("memory_work", self.compute_pool.memory(), limits::WORK_BYTES),
            room("memory_blobs", self.store.blobs().memory(), BLOBS_MEMORY_BYTES),
            room("memory_documents", self.memory.documents_bytes(), limits::DOCUMENTS_BYTES),
            room("memory_passing", self.memory.passing_bytes(), limits::PASSING_BYTES),
            room("disk_documents", permitted.used, permitted.most),
            room("disk_unproven", unproven.used, unproven.most),
            room("disk_database", database.used, database.most),
            room("disk_blobs", blobs.used, blobs.most),
            room("cpu_work", count(busy), count(threads)),
            room(
                "places_verdicts_of_upstream",
                count(verdicts),
                count(limits::QUEUE_MAX + limits::VERDICTS_MAX),
            ),
            room("places_questions_of_upstream", count(questions), count(limits::QUESTIONS_MAX)),
        ]
    }
}
