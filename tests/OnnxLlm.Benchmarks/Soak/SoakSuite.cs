using System.Globalization;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Benchmarks.Serve;

namespace OnnxLlm.Benchmarks.Soak;

/// <summary>A server process under mixed traffic for a long time: nothing may fail, nothing may grow.</summary>
internal sealed class SoakSuite(SoakOptions options, string? report, TimeProvider time, TextWriter output)
{
    private const string Model = "soak", Key = "soak-admin";
    private const int SamplesPerLine = 12;

    // Caches that are full before the second quarter, from which on nothing may grow.
    private static readonly string[] Server =
        ["--slots", "8", "--queue", "128", "--cache-mb", "1", "--prefix-cache-mb", "16", "--chat-template", "plain", "--admin-key", Key];

    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("soak");
        string package = RandomModel.Write(folder.Path), quantized = QuantizedCopy.Write(package, folder.Path);
        using var served = new SwappedFolder(Path.Combine(folder.Path, Model), [package, quantized]);
        using ServerProcess server = ServerProcess.Start($"{Model}={served.Path}", options.Threads, Server);
        using var http = new HttpClient { BaseAddress = server.Address, Timeout = Timeout.InfiniteTimeSpan };
        http.DefaultRequestHeaders.Authorization = new("Bearer", Key);
        SoakResult result = DriveAsync(http, served).GetAwaiter().GetResult();
        string section = SoakReport.Section(result, options, MeasuredModel.Describe(package), time.GetLocalNow());
        return new Publication("soak", section, OthersShare: 0, result.Goals).To(output, report);     // claims no times, so needs no quiet
    }

    private async Task<SoakResult> DriveAsync(HttpClient http, SwappedFolder served)
    {
        using var end = new CancellationTokenSource(options.Duration, time);
        var traffic = new SoakTraffic(new SoakRequests(http, Model), options.Rate, time, output);
        long begin = time.GetTimestamp();
        Task<List<SoakSample>> samples = SampleAsync(http, traffic, begin, end.Token);
        Task<(int, int)> reloads = ReloadAsync(http, served, end.Token);
        await traffic.RunAsync(end.Token).ConfigureAwait(false);
        (int done, int failed) = await reloads.ConfigureAwait(false);
        return new SoakResult(traffic.Counts, await samples.ConfigureAwait(false), done, failed, await SampleAsync(http, begin).ConfigureAwait(false));
    }

    private async Task<List<SoakSample>> SampleAsync(HttpClient http, SoakTraffic traffic, long begin, CancellationToken end)
    {
        var samples = new List<SoakSample>();
        await EveryAsync(SoakOptions.Sampling, async () =>
        {
            samples.Add(await SampleAsync(http, begin).ConfigureAwait(false));
            if (samples.Count % SamplesPerLine == 1) Say(samples[^1], traffic.Counts);
        }, end).ConfigureAwait(false);
        return samples;
    }

    private async Task<SoakSample> SampleAsync(HttpClient http, long begin) =>
        SoakSample.Of(await http.GetStringAsync("/metrics").ConfigureAwait(false), time.GetElapsedTime(begin).TotalMinutes);

    private async Task<(int Done, int Failed)> ReloadAsync(HttpClient http, SwappedFolder served, CancellationToken end)
    {
        int done = 0, failed = 0;
        await EveryAsync(options.Reload, async () =>
        {
            served.Swap();
            using HttpResponseMessage answer = await http.PostAsync($"/admin/models/{Model}/reload", null, CancellationToken.None).ConfigureAwait(false);
            if (answer.IsSuccessStatusCode) done++;
            else failed++;
            if (!answer.IsSuccessStatusCode) output.WriteLine($"  reload: {await answer.Content.ReadAsStringAsync(CancellationToken.None).ConfigureAwait(false)}");
        }, end).ConfigureAwait(false);
        return (done, failed);
    }

    private async Task EveryAsync(TimeSpan period, Func<Task> action, CancellationToken end)
    {
        using var timer = new PeriodicTimer(period, time);
        try
        {
            while (await timer.WaitForNextTickAsync(end).ConfigureAwait(false)) await action().ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // Time is up.
        }
    }

    private void Say(SoakSample sample, SoakCounts counts) => output.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"  {sample.Minutes:F1} min: {sample.Resident / 1e6:F1} MB, heap {sample.Heap / 1e6:F1} MB, {sample.Running:F0} running, {sample.Waiting:F0} waiting; answered {counts.Count(SoakOutcome.Answered)}, broken {counts.Count(SoakOutcome.Broken)}, 5xx {counts.Count(SoakOutcome.ServerError)}, turned away {counts.Count(SoakOutcome.TurnedAway)}"));
}
