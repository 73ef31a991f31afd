using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving;

/// <summary>Runs a server from its first forward pass to its end.</summary>
internal static class ServerRun
{
    /// <exception cref="ServingException">The model does not work, or the address cannot be used.</exception>
    public static async Task RunAsync(WebApplication app)
    {
        await CheckModelAsync(app.Services).ConfigureAwait(false);
        if (!await WarmUpAsync(app).ConfigureAwait(false)) return;
        await ListenAsync(app).ConfigureAwait(false);
        if (ServerHost.Exposure(app.Services.GetRequiredService<ServerOptions>(), app.Services.GetRequiredService<ApiKeys>()) is { } warning) app.Logger.LogWarning("{Warning}", warning);
        app.Logger.LogInformation("{Model} is served at {Urls}", string.Join(' ', app.Services.GetRequiredService<ModelRegistry>().Entries.Select(entry => entry.Id)), string.Join(' ', app.Urls));
        await app.WaitForShutdownAsync().ConfigureAwait(false);
    }

    private static async Task CheckModelAsync(IServiceProvider services)
    {
        foreach (var entry in services.GetRequiredService<ModelRegistry>().Entries)
            if (entry.Current is { } model && !await model.IsReadyAsync().ConfigureAwait(false))
                throw new ServingException($"The model {entry.Id} failed its first forward pass: {model.Health.LastFault?.Message ?? "it gave no answer."}");
    }

    /// <summary>A server that could not warm up serves all the same. What is warmed up is for decoders.</summary>
    /// <returns>False if the program was asked to end meanwhile.</returns>
    private static async Task<bool> WarmUpAsync(WebApplication app)
    {
        if (app.Services.GetRequiredService<ModelRegistry>().Default.Current is not DecoderModel model) return true;
        try
        {
            return await WarmUp.RunAsync(model.Description).ConfigureAwait(false);
        }
        catch (Exception mistake) when (mistake is ServingException or IOException or SocketException)
        {
            app.Logger.LogWarning("The first requests will be slow, the warm-up failed: {Reason}", mistake.Message);
            return true;
        }
    }

    private static async Task ListenAsync(WebApplication app)
    {
        try
        {
            await app.StartAsync().ConfigureAwait(false);
        }
        catch (Exception mistake) when (mistake is IOException or FormatException or InvalidOperationException)
        {
            throw new ServingException($"Cannot listen: {mistake.Message} Choose another address with --urls.", mistake);
        }
    }
}
