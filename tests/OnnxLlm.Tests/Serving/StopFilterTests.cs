using OnnxLlm.Serving.Api;

namespace OnnxLlm.Tests.Serving;

public sealed class StopFilterTests
{
    [Fact]
    public void Text_CutAnyhow_ShowsWhatComesBeforeTheFirstStop()
    {
        var random = new Random(3);
        for (var round = 0; round < 3000; round++)
        {
            var text = Word(random, 24);
            string[] stops = [.. Enumerable.Range(0, random.Next(3)).Select(_ => Word(random, 1 + random.Next(4)))];
            var filter = new StopFilter([.. stops]);
            var shown = "";
            var at = 0;
            while (at < text.Length && !filter.IsStopped)
            {
                var length = Math.Min(1 + random.Next(4), text.Length - at);
                shown += filter.Append(text.Substring(at, length));
                at += length;
                Assert.DoesNotContain(stops, stop => shown.Contains(stop, StringComparison.Ordinal));
            }

            if (!filter.IsStopped) shown += filter.Finish();
            Assert.Equal(Expected(text, stops), shown);
        }
    }

    [Fact]
    public void Text_ThatCannotBeginAStop_IsNotHeldBack() => Assert.Equal("abc", new StopFilter(["xyz"]).Append("abc"));

    [Fact]
    public void Tail_ThatMayBeginAStop_IsHeldBackAndNoMore() => Assert.Equal("ab", new StopFilter(["xyz", "cxq"]).Append("abcx"));

    /// <summary>The definition: read letter by letter; where stop sequences end, the longest of them is cut off.</summary>
    private static string Expected(string text, string[] stops)
    {
        for (var end = 1; end <= text.Length; end++)
        {
            var ended = stops.Where(stop => text.AsSpan(0, end).EndsWith(stop, StringComparison.Ordinal)).ToArray();
            if (ended.Length > 0) return text[..(end - ended.Max(stop => stop.Length))];
        }

        return text;
    }

    private static string Word(Random random, int length) => string.Concat(Enumerable.Range(0, length).Select(_ => "ab"[random.Next(2)]));
}
