import Reports
import Testing

@Suite struct StepHistoryTests {
  @Test("A short run keeps every value")
  func short() {
    var history = StepHistory()
    #expect(history.points.isEmpty && history.minimum == nil)
    for step in 1...StepHistory.limit { history.append(step: step, Double(step)) }
    #expect(history.points.map(\.x) == (1...StepHistory.limit).map(Double.init))
  }

  @Test("A long run keeps evenly spaced values with the first and last, and the minimum and maximum of all values")
  func long() {
    var history = StepHistory()
    let steps = 100_003
    for step in 1...steps {
      history.append(step: step, step == 77_777 ? 9 : step == 50_001 ? -9 : 0)
      if step.isMultiple(of: 1000) { #expect(history.points.count <= StepHistory.limit + 1) }
    }
    let points = history.points
    #expect(points.count > StepHistory.limit / 2)
    #expect(points.first?.x == 1 && points.last?.x == Double(steps))
    let gaps = zip(points, points.dropFirst()).map { $1.x - $0.x }.dropLast()
    #expect(Set(gaps).count == 1)
    #expect(history.minimum == -9 && history.maximum == 9)
  }
}
