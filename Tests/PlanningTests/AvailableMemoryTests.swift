import Foundation
import Planning
import Testing

@Suite struct AvailableMemoryTests {
  @Test(
    "The memory of a control group is the minimum over the group and its parents, excluding reclaimable file cache")
  func controlGroups() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("groups-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    func write(_ path: String, _ text: String) throws {
      let file = folder.appendingPathComponent(path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    func room() -> Int? {
      AvailableMemory.controlGroup(membership: folder.path + "/membership", root: folder.path + "/groups")
    }
    #expect(room() == nil)
    try write("membership", "0::/jobs/one\n")
    #expect(room() == nil)
    try write("groups/jobs/one/memory.max", "max\n")
    try write("groups/jobs/one/memory.current", "100\n")
    #expect(room() == nil)
    try write("groups/jobs/memory.max", "5000\n")
    try write("groups/jobs/memory.current", "3000\n")
    #expect(room() == 2000)
    try write("groups/jobs/memory.stat", "anon 2500\ninactive_file 500\n")
    #expect(room() == 2500)
    try write("groups/jobs/one/memory.max", "2000\n")
    #expect(room() == 1900)
    // cgroup v1 in a container that sees its group as the root.
    try write("membership", "5:cpu,memory:/elsewhere\n1:name=systemd:/x\n0::/\n")
    try write("groups/memory/memory.limit_in_bytes", "900\n")
    try write("groups/memory/memory.usage_in_bytes", "1000\n")
    #expect(room() == 0)
  }
}
