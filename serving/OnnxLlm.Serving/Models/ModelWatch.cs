namespace OnnxLlm.Serving.Models;

/// <summary>Looks now and then whether a model has been written anew, and reloads it: a checkpoint can be served while the next one is trained.</summary>
internal sealed class ModelWatch(ModelRegistry registry, ServerOptions options, TimeProvider time) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.WatchSeconds == 0) return;
        while (!stoppingToken.IsCancellationRequested)
        {
            await Task.Delay(TimeSpan.FromSeconds(options.WatchSeconds), time, stoppingToken).ConfigureAwait(false);
            foreach (var entry in registry.Entries)
                if (entry.Source.Stamp() != entry.Stamp) await registry.ReloadAsync(entry, stoppingToken).ConfigureAwait(false);
        }
    }
}
