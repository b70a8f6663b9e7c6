import Foundation
import Tensors
import Testing

@Suite("Usable cores")
struct UsableCoresTests {
  /// A folder that stands for /, with these files.
  private func withRoot<Result>(_ files: [String: String], _ body: (String) throws -> Result) throws -> Result {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-cores-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    for (name, text) in files {
      let file = root.appendingPathComponent(name)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    return try body(root.path)
  }

  private func quota(_ files: [String: String]) throws -> Double? {
    try withRoot(files) { ProcessorQuota.tightest(groups: $0 + "/groups", root: $0 + "/mounted")?.cores }
  }

  @Test("Are those of the process's mask, at least one")
  func ownMask() throws {
    let cores = UsableCores.current
    #expect(cores.processors == cores.processors.sorted() && Set(cores.processors).count == cores.processors.count)
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let list = try #require(status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") })
    let numbers = list.split(separator: "\t")[1].split(separator: ",").flatMap { range -> [Int] in
      let ends = range.split(separator: "-").compactMap { Int($0) }
      return Array(ends[0]...ends[ends.count - 1])
    }
    #expect(cores.processors == numbers)
    #expect(UsableCores(processors: []).count == 1)
  }

  @Test("Are no more than a quota is good for, rounded up")
  func quotas() {
    func count(_ quota: Double) -> Int {
      UsableCores(processors: Array(0..<8), quota: ProcessorQuota(cores: quota, group: "g")).count
    }
    #expect(count(1.5) == 2 && count(0.2) == 1 && count(8) == 8 && count(100) == 8)
    #expect(count(.infinity) == 8 && count(.nan) == 8)
  }

  @Test("A quota of version 2 is found in the process's group and those around it, the tightest counts")
  func versionTwo() throws {
    let groups = "0::/slice/job\n"
    #expect(try quota(["groups": groups, "mounted/slice/job/cpu.max": "150000 100000\n"]) == 1.5)
    let nested = [
      "groups": groups, "mounted/slice/job/cpu.max": "max 100000\n", "mounted/slice/cpu.max": "400000 100000\n",
    ]
    #expect(try quota(nested) == 4)
    // The path is the host's, the mount the container's own.
    #expect(try quota(["groups": "0::/docker/77\n", "mounted/cpu.max": "50000 100000\n"]) == 0.5)
    #expect(try quota(["groups": groups, "mounted/cpu.max": "max 100000\n"]) == nil)
    #expect(try quota(["groups": groups]) == nil)
    #expect(try quota([:]) == nil)
  }

  @Test("A quota of version 1 is that of the controller cpu, under either name of its mount")
  func versionOne() throws {
    let groups = "5:memory:/m\n3:cpuset:/\n2:cpu,cpuacct:/a:b/c\n1:name=systemd:/\n"
    for mount in ["cpu", "cpu,cpuacct"] {
      #expect(
        try quota([
          "groups": groups, "mounted/\(mount)/a:b/cpu.cfs_quota_us": "250000\n",
          "mounted/\(mount)/a:b/cpu.cfs_period_us": "100000\n",
          "mounted/\(mount)/cpu.cfs_quota_us": "-1\n", "mounted/\(mount)/cpu.cfs_period_us": "100000\n",
        ]) == 2.5)
    }
    #expect(
      try quota(["groups": groups, "mounted/cpu/cpu.cfs_quota_us": "-1\n", "mounted/cpu/cpu.cfs_period_us": "1\n"])
        == nil)
    for damaged in ["", "x", "0 0", "1 0", "-5 100000", "inf nan"] {
      #expect(try quota(["groups": "0::/\n", "mounted/cpu.max": damaged]) == nil, "\(damaged)")
    }
  }

  @Test("Ranks that may use the same cores divide them; ranks with cores of their own do not")
  func divided() {
    func cores(_ masks: [[Int]]) -> [Int] { UsableCores.divided(masks.map { UsableCores(processors: $0) }) }
    let all = Array(0..<8)
    #expect(cores([all]) == [8])
    #expect(cores([all, all]) == [4, 4])
    #expect(cores([all, all, all]) == [2, 2, 2])
    #expect(cores(Array(repeating: all, count: 9)) == Array(repeating: 1, count: 9))
    #expect(cores([[0, 1, 2, 3], [4, 5, 6, 7]]) == [4, 4])
    #expect(cores([[0], [1]]) == [1, 1])
    // Two on the first socket, one on the second.
    #expect(cores([[0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7]]) == [2, 2, 4])
    #expect(cores([[0, 1], all]) == [1, 7])
    #expect(cores([[], []]) == [1, 1])
    // A third of three cores each, whatever the rounding.
    #expect(cores(Array(repeating: [0, 1, 2], count: 3)) == [1, 1, 1])
    #expect(cores(Array(repeating: Array(0..<21), count: 7)) == Array(repeating: 3, count: 7))
  }

  @Test("Ranks of one control group divide its quota; those of others have their own")
  func dividedQuota() {
    func cores(_ quotas: [(Double, String)]) -> [Int] {
      UsableCores.divided(
        quotas.map {
          UsableCores(processors: Array(0..<64), quota: ProcessorQuota(cores: $0.0, group: $0.1))
        })
    }
    #expect(cores([(6, "a"), (6, "a")]) == [3, 3])
    #expect(cores([(6, "a"), (6, "b")]) == [6, 6])
    #expect(cores([(1, "a"), (1, "a"), (1, "a")]) == [1, 1, 1])
  }
}
