/** The public types of the tracker: what a page passes in and gets back. */
/**
 * What the visitor agreed to.
 * - `pending`: nothing is stored and nothing is sent; up to 50 events wait in memory.
 * - `granted`: events are kept on the device until they are stored by the collector; they carry a device id.
 * - `anonymous`: events are sent from memory, without ids; nothing is kept on the device.
 * - `denied`: nothing is kept and nothing is sent.
 */
export type Consent = 'pending' | 'granted' | 'anonymous' | 'denied';
/** Why an event will not arrive: see the guide for what each reason means. */
export type Drop = 'rejected' | 'too_large' | 'full' | 'expired' | 'denied';
/** A switch. As a `data-` attribute, its presence turns it on. */
export type Switch = boolean | string;
export interface Options {
    /** The URL of the collector's path for events, such as `https://c.example.com/event`. */
    url: string;
    /** The property's public id; or `portal` and `prop`. */
    id?: string;
    portal?: number | string;
    prop?: number | string;
    /** Default: what the visitor chose on an earlier page, else `pending`. */
    consent?: Consent;
    /** The most that a browser allows whose user turned on Global Privacy Control or Do Not Track. Default: `anonymous`. */
    gpc?: 'anonymous' | 'denied' | 'ignore';
    /** The id of the user, if the page knows it. */
    uid?: string;
    /** Page views by itself, also of single-page applications. */
    pages?: Switch;
    /** Clicks on links to other hosts, on downloads, and on elements with `data-ea`. */
    clicks?: Switch;
    /** How long a page was visible. */
    time?: Switch;
    /** The domain of a first-party cookie for device id and session, which subdomains share. Default: localStorage. */
    cookie?: string;
    /** `include` sends and takes the collector's cookie, for a collector on a subdomain of the site. */
    credentials?: 'omit' | 'include';
    /** Is told of each event that will not arrive. */
    onDrop?: (event: TrackEvent, why: Drop, detail?: unknown) => void;
}
export interface TrackEvent {
    /** Event action and category, 1 to 255 characters each. */
    ea: string;
    ec: string;
    /** An id of your own, such as `order-4711`: the collector stores one event for it. Default: a new UUID. */
    event_id?: string;
    sid?: number | string;
    uid?: string;
    context?: object;
    extra?: object;
    dims?: object;
    items?: object[];
    [more: string]: unknown;
}
export interface Stats {
    /** Events that wait, those in flight included. */
    queued: number;
    flying: number;
    /** Events that were lost since the last one that carried the count. */
    lost: number;
}
